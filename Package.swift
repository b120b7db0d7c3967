// swift-tools-version: 6.2

import PackageDescription

/// `hack/fuzz` asks for one more program, and for modules that tell it which of their branches were taken.
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

/// The import rules of the house: every edge between two rooms is written here and nowhere else.
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
  targets: [
    .systemLibrary(name: "CJansson", pkgConfig: "jansson", providers: [.apt(["libjansson-dev"])]),
    .systemLibrary(name: "CNFTables", pkgConfig: "libnftables", providers: [.apt(["libnftables-dev"])]),
    // The archive, not the shared library: the helper shall need no more on a node than it must.
    .systemLibrary(name: "CYAML", providers: [.apt(["libyaml-dev"])]),
    // The archive, too.
    .systemLibrary(name: "CBPF", providers: [.apt(["libbpf-dev"])]),
    .target(name: "CFastPath", exclude: ["programs", "objects"]),
    .target(name: "CLinux"),
    .target(name: "JSON", dependencies: ["CJansson"], swiftSettings: settings),
    .target(
      name: "YAML", dependencies: ["CYAML", "JSON"], swiftSettings: settings,
      linkerSettings: [.linkedLibrary(":libyaml.a")]),
    .target(name: "Addresses", swiftSettings: settings),
    .target(name: "Linux", dependencies: ["CLinux"], swiftSettings: settings),
    .target(name: "Netlink", dependencies: ["Linux", "Addresses", "CLinux"], swiftSettings: settings),
    .target(name: "CNI", dependencies: ["JSON", "Addresses"], swiftSettings: settings),
    .target(name: "IPAM", dependencies: ["Linux", "Addresses"], swiftSettings: settings),
    .target(name: "PodRules", dependencies: ["Netlink", "Linux", "Addresses"], swiftSettings: settings),
    .target(name: "FastPath", dependencies: ["Netlink", "Linux", "Addresses"], swiftSettings: settings),
    .target(
      name: "NodeFastPath", dependencies: ["CBPF", "CFastPath", "FastPath", "Netlink", "Linux", "Addresses"],
      swiftSettings: settings,
      linkerSettings: [.linkedLibrary(":libbpf.a"), .linkedLibrary("elf"), .linkedLibrary("z")]),
    .target(
      name: "PodNetwork",
      dependencies: ["FastPath", "CNI", "IPAM", "Lease", "PodRules", "Netlink", "Linux", "Addresses", "JSON"],
      swiftSettings: settings),
    .target(name: "Lease", dependencies: ["JSON", "Addresses", "Linux"], swiftSettings: settings),
    .executableTarget(
      name: "causeway", dependencies: ["PodNetwork", "CNI", "Linux"], swiftSettings: settings,
      linkerSettings: [
        .unsafeFlags(["-static-executable", "-Xlinker", "-s"], .when(configuration: .release))
      ]),
    .target(
      name: "NodeRules", dependencies: ["CNFTables", "Netlink", "Addresses", "Linux"], swiftSettings: settings),
    .target(
      name: "NodeRoutes", dependencies: ["Netlink", "Lease", "Addresses", "Linux"],
      swiftSettings: settings),
    .target(
      name: "NodeStores",
      dependencies: [
        "NodeRoutes", "Lease", "YAML", "JSON", "Addresses", "Linux",
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "causeway-hostgw",
      dependencies: [
        "NodeStores", "NodeRoutes", "NodeRules", "NodeFastPath", "FastPath", "PodNetwork", "IPAM", "Netlink", "Lease",
        "JSON", "Addresses", "Linux",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
        .product(name: "UnixSignals", package: "swift-service-lifecycle"),
      ],
      swiftSettings: settings,
      linkerSettings: [.unsafeFlags(["-Xlinker", "-s"], .when(configuration: .release))]),
    // A test target without tests: a plain one would be built with the programs, where Testing is missing.
    .testTarget(name: "TestSupport", dependencies: ["JSON", "Linux", "Netlink"], swiftSettings: settings),
    .testTarget(name: "AddressesTests", dependencies: ["Addresses", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "JSONTests", dependencies: ["JSON", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "YAMLTests", dependencies: ["YAML", "JSON", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "LinuxTests", dependencies: ["Linux", "TestSupport"], swiftSettings: settings),
    .testTarget(
      name: "NetlinkTests", dependencies: ["Netlink", "Addresses", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "FastPathTests", dependencies: ["FastPath", "Addresses"], swiftSettings: settings),
    .testTarget(name: "NodeRulesTests", dependencies: ["NodeRules", "Addresses"], swiftSettings: settings),
    .testTarget(
      name: "KernelTests",
      dependencies: ["NodeRoutes", "NodeRules", "Lease", "Netlink", "Linux", "Addresses", "JSON", "TestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "IPAMTests", dependencies: ["IPAM", "Linux", "Addresses", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "CNITests", dependencies: ["CNI", "JSON", "Addresses", "TestSupport"], swiftSettings: settings),
    .testTarget(name: "PodRulesTests", dependencies: ["PodRules", "Addresses"], swiftSettings: settings),
    .testTarget(
      name: "PodNetworkTests",
      dependencies: ["PodNetwork", "CNI", "IPAM", "Lease", "Netlink", "Linux", "Addresses", "JSON", "TestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "LeaseTests", dependencies: ["Lease", "JSON", "Addresses", "TestSupport"], swiftSettings: settings),
    .testTarget(
      name: "NodeRoutesTests", dependencies: ["NodeRoutes", "Netlink", "Lease", "Addresses", "Linux", "TestSupport"],
      swiftSettings: settings),
    .testTarget(
      name: "NodeStoresTests",
      dependencies: [
        "NodeStores", "NodeRoutes", "Lease", "JSON", "Addresses", "Linux", "TestSupport",
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "causeway-hostgwTests",
      dependencies: [
        "causeway-hostgw", "NodeStores", "NodeRoutes", "Lease", "Netlink", "Addresses", "Linux", "TestSupport",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
    .testTarget(
      name: "EndToEndTests", dependencies: ["YAML", "JSON", "Linux", "Addresses", "TestSupport"],
      exclude: ["kubeapi", "libcni", "traffic"],
      swiftSettings: settings),
  ]
)

if isFuzzing {
  package.targets.append(
    .executableTarget(
      name: "causeway-fuzz",
      dependencies: [
        "PodNetwork", "NodeStores", "NodeRoutes", "Lease", "IPAM", "CNI", "Netlink", "Linux", "Addresses", "YAML",
        "JSON",
      ],
      path: "hack/fuzzing", exclude: ["corpus"], swiftSettings: settings,
      linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]))
}
