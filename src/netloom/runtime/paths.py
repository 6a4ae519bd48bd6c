"""Where everything of a container lies: what lasts in the state directory, what ends with its run in the run one."""

from __future__ import annotations

import os

from msgspec import Struct


class Paths(Struct, frozen=True):
    """The folders of one runtime. Both are absolute; two daemons have different ones."""

    state: str
    run: str
    instance: str

    @property
    def exits(self) -> str:
        """conmon puts a file with the exit code here, named after the container."""
        return f"{self.run}/exits"

    @property
    def crun_root(self) -> str:
        """crun's own state, one folder for each container."""
        return f"{self.run}/crun"

    @property
    def bundles(self) -> str:
        """One bundle for each container that has processes."""
        return f"{self.run}/bundles"

    def bundle(self, container: str) -> str:
        """config.json, attach and control sockets, pid files, the root's mount point."""
        return f"{self.bundles}/{container}"

    def root(self, container: str) -> str:
        """The mount point of the container's root; mounted only inside its own mount namespace."""
        return f"{self.bundle(container)}/root"

    def exit_file(self, container: str) -> str:
        """The exit code as text, written by conmon."""
        return f"{self.exits}/{container}"

    def record(self, container: str) -> str:
        """The processes of a container that was created to the end."""
        return f"{self.bundle(container)}/processes.json"

    def exec_folder(self, container: str, exec_id: str) -> str:
        """An exec's own bundle; its exit file lies in it, since conmon names it after the container."""
        return f"{self.bundle(container)}/exec/{exec_id}"

    def container(self, container: str) -> str:
        """What outlives the container's processes: its files, scratch layer and log."""
        return f"{self.state}/containers/{container}"

    def upper(self, container: str) -> str:
        """The scratch layer."""
        return f"{self.container(container)}/upper"

    def work(self, container: str) -> str:
        """The overlay's working folder, on the same file system as the scratch layer."""
        return f"{self.container(container)}/work"

    def log(self, container: str) -> str:
        """conmon's log, in its `k8s-file` format."""
        return f"{self.container(container)}/{container}.log"

    @property
    def cgroup_parent(self) -> str:
        """The folder of this daemon's containers, below the root of each hierarchy."""
        return f"/netloom-{self.instance}"

    def cgroup_link(self, container: str) -> str:
        """A symbolic link that names the container's cgroup, where it has another parent than the others."""
        return f"{self.bundle(container)}/cgroup"

    def cgroup(self, container: str) -> str:
        """The container's cgroup in each hierarchy."""
        try:
            return os.readlink(self.cgroup_link(container))
        except OSError:
            return f"{self.cgroup_parent}/{container}"

    def make(self) -> None:
        """Make the folders that must exist before the first container."""
        for folder in (f"{self.state}/containers", self.exits, self.crun_root, self.bundles):
            os.makedirs(folder, mode=0o711, exist_ok=True)
