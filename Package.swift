// swift-tools-version: 6.2

import PackageDescription

/// `hack/fuzz` builds one more program, and modules that report which of their branches were taken.
let isFuzzing = Context.environment["CAUSEWAY_FUZZ"] != nil

/// One array for every target: Swift 6, every warning an error, and `unsafe` visible where it is used.
let settings: [SwiftSetting] =
  [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
  ] + (isFuzzing ? [.unsafeFlags(["-O", "-sanitize=fuzzer"])] : [])

/// The module that a path names: its last part.
func module(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

/// One module in a wing of `Sources`, with every edge to the modules and packages that it may import.
func room(
  _ path: String, uses dependencies: [Target.Dependency], linking linkerSettings: [LinkerSetting] = []
) -> Target {
  .target(
    name: module(path), dependencies: dependencies, path: "Sources/\(path)", swiftSettings: settings,
    linkerSettings: linkerSettings)
}

/// A program: a module with a main.
func program(
  _ path: String, uses dependencies: [Target.Dependency], linking linkerSettings: [LinkerSetting]
) -> Target {
  .executableTarget(
    name: module(path), dependencies: dependencies, path: "Sources/\(path)", swiftSettings: settings,
    linkerSettings: linkerSettings)
}

/// A module map for a library of Debian's.
func library(_ path: String, package: String, pkgConfig: String? = nil) -> Target {
  .systemLibrary(name: module(path), path: "Sources/\(path)", pkgConfig: pkgConfig, providers: [.apt([package])])
}

/// The tests of a module; the folders of `Tests` mirror the wings.
func tests(_ path: String, use dependencies: [Target.Dependency], excluding: [String] = []) -> Target {
  .testTarget(
    name: module(path), dependencies: dependencies, path: "Tests/\(path)", exclude: excluding, swiftSettings: settings)
}

extension Target.Dependency {
  static let argumentParser = product(name: "ArgumentParser", package: "swift-argument-parser")
  static let asyncHTTPClient = product(name: "AsyncHTTPClient", package: "async-http-client")
  static let hummingbird = product(name: "Hummingbird", package: "hummingbird")
  static let logging = product(name: "Logging", package: "swift-log")
  static let nioCore = product(name: "NIOCore", package: "swift-nio")
  static let nioHTTP1 = product(name: "NIOHTTP1", package: "swift-nio")
  static let nioPosix = product(name: "NIOPosix", package: "swift-nio")
  static let nioSSL = product(name: "NIOSSL", package: "swift-nio-ssl")
  static let serviceLifecycle = product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
  static let unixSignals = product(name: "UnixSignals", package: "swift-service-lifecycle")
}

let values: [Target] = [
  library("Values/CJansson", package: "libjansson-dev", pkgConfig: "jansson"),
  // The archive, so that the helper needs no shared library on the node for it.
  library("Values/CYAML", package: "libyaml-dev"),
  room("Values/JSON", uses: ["CJansson"]),
  room("Values/YAML", uses: ["CYAML", "JSON"], linking: [.linkedLibrary(":libyaml.a")]),
  room("Values/Addresses", uses: []),
]

let kernel: [Target] = [
  .target(name: "CLinux", path: "Sources/Kernel/CLinux"),
  room("Kernel/Linux", uses: ["CLinux"]),
  room("Kernel/Netlink", uses: ["Linux", "Addresses", "CLinux"]),
  room("Kernel/Netfilter", uses: ["Netlink", "Linux", "Addresses", "CLinux"]),
]

let pods: [Target] = [
  room("Pods/NodeState", uses: ["Linux", "Addresses"]),
  room("Pods/IPAM", uses: ["NodeState", "Linux", "Addresses"]),
  room("Pods/Attachments", uses: ["NodeState", "IPAM", "Netlink", "Linux", "Addresses", "JSON"]),
  room("Pods/PodRules", uses: ["Attachments", "NodeState", "IPAM", "Netfilter", "Netlink", "Linux", "Addresses"]),
  room("Pods/FastPath", uses: ["Attachments", "NodeState", "Netlink", "Linux", "Addresses"]),
]

let plugin: [Target] = [
  room("Plugin/CNI", uses: ["JSON", "Addresses"]),
  room(
    "Plugin/PodNetwork",
    uses: [
      "CNI", "FastPath", "PodRules", "Attachments", "IPAM", "NodeState", "Netfilter", "Netlink", "Linux", "Addresses",
      "JSON",
    ]),
  program(
    "Plugin/causeway", uses: ["PodNetwork", "CNI", "NodeState", "Linux"],
    linking: [.unsafeFlags(["-static-executable", "-Xlinker", "-s"], .when(configuration: .release))]),
]

let cluster: [Target] = [
  room("Cluster/Nodes", uses: ["NodeState", "JSON", "Addresses", "Linux"]),
  room(
    "Cluster/StoreTransport",
    uses: ["JSON", "Linux", .asyncHTTPClient, .logging, .nioCore, .nioHTTP1, .nioPosix, .nioSSL]),
  room("Cluster/FileStore", uses: ["Nodes", "NodeState", "JSON", "Addresses", "Linux"]),
  room(
    "Cluster/EtcdStore",
    uses: ["Nodes", "StoreTransport", "NodeState", "JSON", "Addresses", "Linux", .logging]),
  room(
    "Cluster/KubernetesStore",
    uses: [
      "Nodes", "StoreTransport", "NodeState", "YAML", "JSON", "Addresses", "Linux", .logging,
    ]),
]

let node: [Target] = [
  library("Node/CNFTables", package: "libnftables-dev", pkgConfig: "libnftables"),
  // The archive, too.
  library("Node/CBPF", package: "libbpf-dev"),
  .target(name: "CFastPath", path: "Sources/Node/CFastPath", exclude: ["programs", "objects"]),
  room("Node/Parts", uses: ["Nodes", "JSON", "Linux"]),
  room("Node/OwnNode", uses: ["Nodes", "NodeState", "Netlink", "Addresses", "Linux"]),
  room("Node/Backends", uses: ["OwnNode", "Nodes", "NodeState", "Netlink", "JSON", "Addresses", "Linux"]),
  room(
    "Node/NodeRoutes",
    uses: ["Parts", "Backends", "OwnNode", "Nodes", "NodeState", "Netlink", "Addresses", "Linux", "JSON"]),
  room(
    "Node/NodeRules", uses: ["Parts", "Nodes", "CNFTables", "Netfilter", "Netlink", "Addresses", "Linux", "JSON"]),
  room(
    "Node/NodeLease",
    uses: ["Parts", "NodeRoutes", "OwnNode", "Nodes", "Attachments", "NodeState", "Addresses", "Linux", "JSON"]),
  room("Node/PodCollection", uses: ["Parts", "Attachments", "Linux", "JSON"]),
  room(
    "Node/NodeFastPath",
    uses: [
      "Parts", "NodeRoutes", "OwnNode", "Nodes", "CBPF", "CFastPath", "FastPath", "Netfilter", "Netlink", "Linux",
      "Addresses", "JSON",
    ],
    linking: [.linkedLibrary(":libbpf.a"), .linkedLibrary("elf"), .linkedLibrary("z")]),
]

let helper: [Target] = [
  room(
    "Helper/Agent",
    uses: [
      "FileStore", "EtcdStore", "KubernetesStore", "Nodes", "Parts", "NodeLease", "Backends", "OwnNode", "Attachments",
      "NodeState", "JSON", "Addresses", "Linux", .hummingbird, .logging, .nioCore, .serviceLifecycle, .unixSignals,
    ]),
  program(
    "Helper/causeway-hostgw",
    uses: [
      "Agent", "EtcdStore", "KubernetesStore", "StoreTransport", "Nodes", "Parts", "NodeRules", "NodeRoutes",
      "NodeLease", "NodeFastPath", "PodCollection", "OwnNode", "PodRules", "NodeState", "JSON", "Addresses", "Linux",
      .argumentParser, .asyncHTTPClient, .logging, .nioCore,
    ],
    linking: [.unsafeFlags(["-Xlinker", "-s"], .when(configuration: .release))]),
]

let testTargets: [Target] = [
  // A test target without tests: a plain one would be built with the programs, where Testing is missing.
  tests("TestSupport", use: ["JSON", "Linux", "Netlink"]),
  tests("Values/AddressesTests", use: ["Addresses", "TestSupport"]),
  tests("Values/JSONTests", use: ["JSON", "TestSupport"]),
  tests("Values/YAMLTests", use: ["YAML", "JSON", "TestSupport"]),
  tests("Kernel/LinuxTests", use: ["Linux", "TestSupport"]),
  tests("Kernel/NetlinkTests", use: ["Netlink", "Addresses", "TestSupport"]),
  tests("Kernel/NetfilterTests", use: ["Netfilter", "Netlink", "Addresses", "TestSupport"]),
  tests("Pods/NodeStateTests", use: ["NodeState", "Addresses", "Linux", "TestSupport"]),
  tests(
    "Pods/AttachmentsTests",
    use: ["Attachments", "IPAM", "NodeState", "Netlink", "Linux", "Addresses", "JSON", "TestSupport"]),
  tests("Pods/IPAMTests", use: ["IPAM", "Linux", "Addresses", "TestSupport"]),
  tests("Pods/PodRulesTests", use: ["PodRules", "Addresses"]),
  tests("Pods/FastPathTests", use: ["FastPath", "Addresses"]),
  tests("Plugin/CNITests", use: ["CNI", "JSON", "Addresses", "TestSupport"]),
  tests(
    "Plugin/PodNetworkTests",
    use: [
      "PodNetwork", "CNI", "PodRules", "Attachments", "IPAM", "NodeState", "Netlink", "Linux", "Addresses", "JSON",
      "TestSupport",
    ]),
  tests(
    "Cluster/StoreTests",
    use: [
      "FileStore", "EtcdStore", "KubernetesStore", "StoreTransport", "Backends", "Nodes", "NodeState", "JSON",
      "Addresses", "Linux", "TestSupport", .logging,
    ], excluding: ["scripted_server.py"]),
  tests("Cluster/NodesTests", use: ["Backends", "Nodes", "NodeState", "JSON", "Addresses", "TestSupport"]),
  tests(
    "Node/NodeRoutesTests",
    use: [
      "NodeRoutes", "Backends", "OwnNode", "Nodes", "NodeState", "Netlink", "JSON", "Addresses", "Linux", "TestSupport",
    ]),
  tests("Node/NodeRulesTests", use: ["NodeRules", "Netfilter", "Addresses"]),
  tests(
    "Helper/AgentTests",
    use: [
      "Agent", "Parts", "NodeLease", "NodeRoutes", "NodeRules", "Backends", "OwnNode", "Nodes", "NodeState", "Netlink",
      "Addresses", "Linux", "TestSupport", .logging, .serviceLifecycle,
    ]),
  tests(
    "Helper/causeway-hostgwTests",
    use: [
      "causeway-hostgw", "EtcdStore", "StoreTransport", "OwnNode", "NodeState", "Addresses", "Linux", "TestSupport",
      .argumentParser,
    ]),
  tests(
    "KernelTests",
    use: [
      "NodeRoutes", "Backends", "OwnNode", "NodeRules", "Nodes", "PodRules", "Attachments", "NodeState", "Netfilter",
      "Netlink", "Linux", "Addresses", "JSON", "TestSupport",
    ]),
  tests(
    "EndToEndTests", use: ["YAML", "JSON", "Linux", "Addresses", "TestSupport"],
    excluding: ["Rigs/kubeapi", "Rigs/libcni", "Rigs/traffic"]),
]

/// `hack/fuzz`'s program.
let fuzzer: Target = .executableTarget(
  name: "causeway-fuzz",
  dependencies: [
    "PodNetwork", "FileStore", "EtcdStore", "KubernetesStore", "StoreTransport", "Backends", "Nodes", "NodeState",
    "Attachments", "IPAM", "CNI", "Netfilter", "Netlink", "Linux", "Addresses", "YAML", "JSON",
  ],
  path: "hack/fuzzing", exclude: ["corpus"], swiftSettings: settings,
  linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])])

/// The import rules: every edge between two modules is written here and nowhere else. A wing imports itself
/// and earlier wings; Plugin on one side and Cluster, Node and Helper on the other never import each other.
let package = Package(
  name: "causeway",
  products: [
    .executable(name: "causeway", targets: ["causeway"]),
    .executable(name: "causeway-hostgw", targets: ["causeway-hostgw"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
    // Without Foundation, which would double the helper.
    .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
    .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
    .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
  ],
  targets: values + kernel + pods + plugin + cluster + node + helper + testTargets + (isFuzzing ? [fuzzer] : [])
)
