from netloom.model.finding import Finding
from netloom.testing.api_client import Client
from netloom.testing.fake_backend import FakeBackend

# The keys of Docker 28.5's GET /info, in its order; clients read them by name.
INFO = """
ID Containers ContainersRunning ContainersPaused ContainersStopped Images Driver DriverStatus Plugins MemoryLimit
SwapLimit CpuCfsPeriod CpuCfsQuota CPUShares CPUSet PidsLimit IPv4Forwarding Debug NFd OomKillDisable NGoroutines
SystemTime LoggingDriver CgroupDriver CgroupVersion NEventsListener KernelVersion OperatingSystem OSVersion OSType
Architecture IndexServerAddress RegistryConfig NCPU MemTotal GenericResources DockerRootDir HttpProxy HttpsProxy NoProxy
Name Labels ExperimentalBuild ServerVersion Runtimes DefaultRuntime Swarm LiveRestoreEnabled Isolation InitBinary
ContainerdCommit RuncCommit InitCommit SecurityOptions FirewallBackend CDISpecDirs Warnings
""".split()


async def test_info_has_dockers_keys_and_the_engines_values(api: Client, backend: FakeBackend) -> None:
    await api("POST", "/containers/create?name=a", {"Image": "host", "Cmd": ["sleep"]})
    await api("POST", "/containers/create?name=b", {"Image": "host", "Cmd": ["sleep"]})
    await api("POST", "/containers/a/start")
    info = (await api("GET", "/info")).json
    assert list(info) == INFO
    assert (info["Containers"], info["ContainersRunning"], info["ContainersStopped"]) == (2, 1, 1)
    assert (info["ID"], info["DockerRootDir"]) == ("fake", "/state")


async def test_the_doctors_findings(api: Client, backend: FakeBackend) -> None:
    assert (await api("GET", "/netloom/doctor")).json == {"Findings": [], "Repairs": 0}
    backend.found.append(Finding(kind="k", between=("a", "b"), effect="e", remedy="r"))
    assert (await api("GET", "/netloom/doctor")).json == {
        "Findings": [{"Kind": "k", "Between": ["a", "b"], "Effect": "e", "Remedy": "r"}],
        "Repairs": 0,
    }


async def test_version_has_dockers_keys(api: Client) -> None:
    version = (await api("GET", "/v1.30/version")).json
    head = "Platform Components Version ApiVersion MinAPIVersion GitCommit GoVersion Os Arch KernelVersion BuildTime"
    assert list(version) == head.split()
    assert version["Components"][0]["Name"] == "Engine"
    assert (version["ApiVersion"], version["MinAPIVersion"], version["Os"]) == ("1.51", "1.24", "linux")
