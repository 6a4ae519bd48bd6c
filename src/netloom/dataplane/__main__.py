"""`python -m netloom.dataplane`."""

from netloom.dataplane.main import main

if __name__ == "__main__":
    raise SystemExit(main())
