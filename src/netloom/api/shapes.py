"""The Go types of the requests, as far as netloom reads them; Go's names appear in error sentences."""

from __future__ import annotations

from netloom.api.decode import Anything, Flag, Integer, ListOf, MapOf, Object, Shape, Text, Words

TEXT = Text()
FLAG = Flag()
INT = Integer("int", low=-(1 << 63))
INT64 = Integer("int64")
UINT64 = Integer("uint64", low=0, high=(1 << 64) - 1)
ANY = Anything()
TEXTS = ListOf(TEXT)
TEXT_MAP = MapOf(TEXT)

ENDPOINT_IPAM = Object("network.EndpointIPAMConfig", {"IPv4Address": TEXT, "IPv6Address": TEXT, "LinkLocalIPs": TEXTS})
ENDPOINT = Object(
    "network.EndpointSettings",
    {
        "IPAMConfig": ENDPOINT_IPAM,
        "Links": TEXTS,
        "Aliases": TEXTS,
        "DriverOpts": TEXT_MAP,
        "GwPriority": INT,
        "MacAddress": TEXT,
    },
)
CONNECT = Object("network.ConnectOptions", {"Container": TEXT, "EndpointConfig": ENDPOINT})
DISCONNECT = Object("network.DisconnectOptions", {"Container": TEXT, "Force": FLAG})

IPAM_CONFIG = Object(
    "network.IPAMConfig", {"Subnet": TEXT, "IPRange": TEXT, "Gateway": TEXT, "AuxiliaryAddresses": TEXT_MAP}
)
NETWORK_CREATE = Object(
    "network.CreateRequest",
    {
        "Name": TEXT,
        "CheckDuplicate": FLAG,
        "Driver": TEXT,
        "Scope": TEXT,
        "EnableIPv4": FLAG,
        "EnableIPv6": FLAG,
        "IPAM": Object("network.IPAM", {"Driver": TEXT, "Options": TEXT_MAP, "Config": ListOf(IPAM_CONFIG)}),
        "Internal": FLAG,
        "Attachable": FLAG,
        "Ingress": FLAG,
        "ConfigOnly": FLAG,
        "ConfigFrom": Object("network.ConfigReference", {"Network": TEXT}),
        "Options": TEXT_MAP,
        "Labels": TEXT_MAP,
    },
)

VOLUME_CREATE = Object(
    "volume.CreateOptions",
    {"ClusterVolumeSpec": ANY, "Driver": TEXT, "DriverOpts": TEXT_MAP, "Labels": TEXT_MAP, "Name": TEXT},
)

AUTH = Object(
    "",
    {
        "auth": TEXT,
        "email": TEXT,
        "identitytoken": TEXT,
        "password": TEXT,
        "registrytoken": TEXT,
        "serveraddress": TEXT,
        "username": TEXT,
    },
)

EMPTY_STRUCT = Object("struct {}", {})
PORT_SET = MapOf(EMPTY_STRUCT, "nat.PortSet")
DURATION = Integer("time.Duration")
HEALTHCHECK = Object(
    "container.HealthConfig",
    {
        "Test": TEXTS,
        "Interval": DURATION,
        "Timeout": DURATION,
        "StartPeriod": DURATION,
        "StartInterval": DURATION,
        "Retries": INT,
    },
)
CONFIG: dict[str, Shape] = {
    "Hostname": TEXT,
    "Domainname": TEXT,
    "User": TEXT,
    "AttachStdin": FLAG,
    "AttachStdout": FLAG,
    "AttachStderr": FLAG,
    "ExposedPorts": PORT_SET,
    "Tty": FLAG,
    "OpenStdin": FLAG,
    "StdinOnce": FLAG,
    "Env": TEXTS,
    "Cmd": Words(),
    "Healthcheck": HEALTHCHECK,
    "ArgsEscaped": FLAG,
    "Image": TEXT,
    "Volumes": MapOf(EMPTY_STRUCT),
    "WorkingDir": TEXT,
    "Entrypoint": Words(),
    "NetworkDisabled": FLAG,
    "MacAddress": TEXT,
    "OnBuild": TEXTS,
    "Labels": TEXT_MAP,
    "StopSignal": TEXT,
    "StopTimeout": INT,
    "Shell": Words(),
}
THROTTLE_DEVICE = Object("blkiodev.ThrottleDevice", {"Path": TEXT, "Rate": UINT64})
WEIGHT_DEVICE = Object("blkiodev.WeightDevice", {"Path": TEXT, "Weight": Integer("uint16", low=0, high=65535)})
DEVICE = Object("container.DeviceMapping", {"PathOnHost": TEXT, "PathInContainer": TEXT, "CgroupPermissions": TEXT})
DEVICE_REQUEST = Object(
    "container.DeviceRequest",
    {"Driver": TEXT, "Count": INT, "DeviceIDs": TEXTS, "Capabilities": ListOf(TEXTS), "Options": TEXT_MAP},
)
ULIMIT = Object("units.Ulimit", {"Name": TEXT, "Hard": INT64, "Soft": INT64})
MOUNT = Object(
    "mount.Mount",
    {
        "Type": Text("mount.Type"),
        "Source": TEXT,
        "Target": TEXT,
        "ReadOnly": FLAG,
        "Consistency": Text("mount.Consistency"),
        "BindOptions": Object(
            "mount.BindOptions",
            {
                "Propagation": Text("mount.Propagation"),
                "NonRecursive": FLAG,
                "CreateMountpoint": FLAG,
                "ReadOnlyNonRecursive": FLAG,
                "ReadOnlyForceRecursive": FLAG,
            },
        ),
        "VolumeOptions": Object(
            "mount.VolumeOptions",
            {
                "NoCopy": FLAG,
                "Labels": TEXT_MAP,
                "Subpath": TEXT,
                "DriverConfig": Object("mount.Driver", {"Name": TEXT, "Options": TEXT_MAP}),
            },
        ),
        "ImageOptions": Object("mount.ImageOptions", {"Subpath": TEXT}),
        "TmpfsOptions": Object(
            "mount.TmpfsOptions",
            {"SizeBytes": INT64, "Mode": Integer("os.FileMode", low=0, high=(1 << 32) - 1), "Options": ListOf(TEXTS)},
        ),
        "ClusterOptions": Object("mount.ClusterOptions", {}),
    },
)
PORT_BINDING = Object("nat.PortBinding", {"HostIp": TEXT, "HostPort": TEXT})
HOST_CONFIG = Object(
    "container.HostConfig",
    {
        "Binds": TEXTS,
        "ContainerIDFile": TEXT,
        "LogConfig": Object("container.LogConfig", {"Type": TEXT, "Config": TEXT_MAP}),
        "NetworkMode": Text("container.NetworkMode"),
        "PortBindings": MapOf(ListOf(PORT_BINDING), "nat.PortMap"),
        "RestartPolicy": Object(
            "container.RestartPolicy",
            {"Name": Text("container.RestartPolicyMode"), "MaximumRetryCount": INT},
        ),
        "AutoRemove": FLAG,
        "VolumeDriver": TEXT,
        "VolumesFrom": TEXTS,
        "ConsoleSize": ListOf(Integer("uint", low=0), "[2]uint"),
        "Annotations": TEXT_MAP,
        "CapAdd": Words(),
        "CapDrop": Words(),
        "CgroupnsMode": Text("container.CgroupnsMode"),
        "Dns": TEXTS,
        "DnsOptions": TEXTS,
        "DnsSearch": TEXTS,
        "ExtraHosts": TEXTS,
        "GroupAdd": TEXTS,
        "IpcMode": Text("container.IpcMode"),
        "Cgroup": Text("container.CgroupSpec"),
        "Links": TEXTS,
        "OomScoreAdj": INT,
        "PidMode": Text("container.PidMode"),
        "Privileged": FLAG,
        "PublishAllPorts": FLAG,
        "ReadonlyRootfs": FLAG,
        "SecurityOpt": TEXTS,
        "StorageOpt": TEXT_MAP,
        "Tmpfs": TEXT_MAP,
        "UTSMode": Text("container.UTSMode"),
        "UsernsMode": Text("container.UsernsMode"),
        "ShmSize": INT64,
        "Sysctls": TEXT_MAP,
        "Runtime": TEXT,
        "Isolation": Text("container.Isolation"),
        "CpuShares": INT64,
        "Memory": INT64,
        "NanoCpus": INT64,
        "CgroupParent": TEXT,
        "BlkioWeight": Integer("uint16", low=0, high=65535),
        "BlkioWeightDevice": ListOf(WEIGHT_DEVICE, "[]*blkiodev.WeightDevice"),
        "BlkioDeviceReadBps": ListOf(THROTTLE_DEVICE, "[]*blkiodev.ThrottleDevice"),
        "BlkioDeviceWriteBps": ListOf(THROTTLE_DEVICE, "[]*blkiodev.ThrottleDevice"),
        "BlkioDeviceReadIOps": ListOf(THROTTLE_DEVICE, "[]*blkiodev.ThrottleDevice"),
        "BlkioDeviceWriteIOps": ListOf(THROTTLE_DEVICE, "[]*blkiodev.ThrottleDevice"),
        "CpuPeriod": INT64,
        "CpuQuota": INT64,
        "CpuRealtimePeriod": INT64,
        "CpuRealtimeRuntime": INT64,
        "CpusetCpus": TEXT,
        "CpusetMems": TEXT,
        "Devices": ListOf(DEVICE, "[]container.DeviceMapping"),
        "DeviceCgroupRules": TEXTS,
        "DeviceRequests": ListOf(DEVICE_REQUEST, "[]container.DeviceRequest"),
        "KernelMemory": INT64,
        "KernelMemoryTCP": INT64,
        "MemoryReservation": INT64,
        "MemorySwap": INT64,
        "MemorySwappiness": INT64,
        "OomKillDisable": FLAG,
        "PidsLimit": INT64,
        "Ulimits": ListOf(ULIMIT, "[]*units.Ulimit"),
        "CpuCount": INT64,
        "CpuPercent": INT64,
        "IOMaximumIOps": UINT64,
        "IOMaximumBandwidth": UINT64,
        "Mounts": ListOf(MOUNT, "[]mount.Mount"),
        "MaskedPaths": TEXTS,
        "ReadonlyPaths": TEXTS,
        "Init": FLAG,
    },
)
CONTAINER_CREATE = Object(
    "container.CreateRequest",
    {
        **CONFIG,
        "HostConfig": HOST_CONFIG,
        "NetworkingConfig": Object("network.NetworkingConfig", {"EndpointsConfig": MapOf(ENDPOINT)}),
    },
    root="",
)
CONTAINER_UPDATE = Object(
    "container.UpdateConfig",
    {
        key: HOST_CONFIG.fields[key]
        for key in (
            "RestartPolicy CpuShares Memory NanoCpus CgroupParent BlkioWeight BlkioWeightDevice BlkioDeviceReadBps "
            "BlkioDeviceWriteBps BlkioDeviceReadIOps BlkioDeviceWriteIOps CpuPeriod CpuQuota CpuRealtimePeriod "
            "CpuRealtimeRuntime CpusetCpus CpusetMems Devices DeviceCgroupRules DeviceRequests KernelMemory "
            "KernelMemoryTCP MemoryReservation MemorySwap MemorySwappiness OomKillDisable PidsLimit Ulimits CpuCount "
            "CpuPercent IOMaximumIOps IOMaximumBandwidth"
        ).split()
    },
    root="",
)

EXEC_CREATE = Object(
    "container.ExecOptions",
    {
        "User": TEXT,
        "Privileged": FLAG,
        "Tty": FLAG,
        "ConsoleSize": ListOf(Integer("uint", low=0), "[2]uint"),
        "AttachStdin": FLAG,
        "AttachStderr": FLAG,
        "AttachStdout": FLAG,
        "DetachKeys": TEXT,
        "Env": TEXTS,
        "WorkingDir": TEXT,
        "Cmd": TEXTS,
    },
)
EXEC_START = Object(
    "container.ExecStartOptions",
    {"Detach": FLAG, "Tty": FLAG, "ConsoleSize": ListOf(Integer("uint", low=0), "[2]uint")},
)

PORT_CHANGE = Object(
    "netloom.PortChange",
    {"Add": MapOf(ListOf(PORT_BINDING), "nat.PortMap"), "Remove": MapOf(ListOf(PORT_BINDING), "nat.PortMap")},
)
