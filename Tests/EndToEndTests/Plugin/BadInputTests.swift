import JSON
import Testing
import TestSupport

/// Invalid input: ADD reports the right code and a message that names the input, does not crash and leaves nothing.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct BadInputTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let input: String
    let code: Int64
    let message: String
    var testDescription: String { name }

    init(_ name: String, _ input: String, _ code: Int64, _ message: String) {
      self.name = name
      self.input = input
      self.code = code
      self.message = message
    }

    /// A valid configuration with these keys replaced.
    init(_ name: String, keys: JSONObject, _ code: Int64, _ message: String) {
      var object: JSONObject = [
        "cniVersion": "1.1.0", "name": "podnet", "type": "causeway",
        "ipam": ["ranges": [[["subnet": "10.9.0.0/24"]]]],
      ]
      for member in keys.members { object[member.name] = member.value }
      self.init(name, (try? JSONValue.object(object).text()) ?? "", code, message)
    }

    static func ranges(_ name: String, _ ranges: JSONValue, _ code: Int64, _ message: String) -> Case {
      Case(name, keys: ["ipam": ["ranges": ranges]], code, message)
    }
  }

  static let cases: [Case] = [
    Case("nothing", "", 6, "network config"),
    Case("not JSON", "{\"name\": ", 6, "line 1"),
    Case("not an object", "[1, 2]", 6, "must be a JSON object, but is an array"),
    Case("nothing but braces", "{}", 7, "missing network name"),
    Case("deep nesting", String(repeating: "[", count: 100_000), 6, "network config"),
    Case("NUL in a string", "{\"name\": \"a\\u0000b\"}", 6, "network config"),
    Case("not UTF-8", "{\"name\": \"\u{FFFD}\"}", 7, "invalid characters found in network name"),
    Case("name of a path", keys: ["name": "../../etc"], 7, "../../etc"),
    Case("name of the wrong kind", keys: ["name": 3], 6, "name must be a string, but is 3"),
    Case("over-long name", keys: ["name": .string(String(repeating: "n", count: 300))], 7, "longer than 200 bytes"),
    Case("unknown version", keys: ["cniVersion": "9.9.9"], 1, "config is \"9.9.9\""),
    Case("version almost known", keys: ["cniVersion": "1.0.1"], 1, "config is \"1.0.1\""),
    Case("version of the wrong kind", keys: ["cniVersion": 1], 6, "cniVersion must be a string"),
    Case("boolean as a string", keys: ["isGateway": "yes"], 7, "isGateway must be true or false, but is \"yes\""),
    Case("bridge name too long", keys: ["bridge": "a-name-of-a-bridge"], 7, "a-name-of-a-bridge"),
    Case("bridge name with a slash", keys: ["bridge": "a/b"], 7, "a/b"),
    Case("MTU of nothing", keys: ["mtu": 12], 7, "mtu must be 0 or from 68 to 65535 bytes, but is 12"),
    Case("MTU beyond a number", keys: ["mtu": 9_223_372_036_854_775_807], 7, "9223372036854775807"),
    Case("pattern as a bridge name", keys: ["bridge": "br%d"], 7, "br%d"),
    Case("relative path", keys: ["ipam": ["dataDir": "relative"]], 7, "ipam.dataDir must be an absolute path"),
    Case("hairpin and promiscuous", keys: ["hairpinMode": true, "promiscMode": true], 7, "hairpin mode"),
    Case("unknown mode", keys: ["mode": "teleport"], 2, "mode = \"teleport\""),
    Case("MAC of a group", keys: ["runtimeConfig": ["mac": "ff:ff:ff:ff:ff:ff"]], 7, "ff:ff:ff:ff:ff:ff"),
    Case("requested address that is none", keys: ["runtimeConfig": ["ips": ["10.9.0.300"]]], 7, "10.9.0.300"),
    Case("store that needs an agent", keys: ["hostgw": ["store": "etcd"]], 7, "hostgw.store must be \"file\""),
    Case("IPAM that is no object", keys: ["ipam": "host-local"], 7, "ipam must be an object"),
    Case("previous result of the wrong kind", keys: ["prevResult": 5], 6, "prevResult"),
    .ranges("subnet that is none", [[["subnet": "10.9.0/24"]]], 7, "ipam.ranges[0][0].subnet"),
    .ranges("subnet too small", [[["subnet": "10.9.0.0/31"]]], 7, "Network 10.9.0.0/31 too small to allocate from"),
    .ranges("host bits", [[["subnet": "10.9.0.5/24"]]], 7, "the network address is 10.9.0.0"),
    .ranges("overlap between sets", [[["subnet": "10.9.0.0/24"]], [["subnet": "10.9.0.128/25"]]], 7, "overlaps"),
    .ranges("overlap in a set", [[["subnet": "10.9.0.0/24"], ["subnet": "10.9.0.128/25"]]], 7, "overlap"),
    .ranges(
      "families in a set", [[["subnet": "10.9.0.0/24"], ["subnet": "fd00:9::/64"]]], 7, "mixed address families"),
    .ranges("range without subnet", [[[:]]], 7, "subnet is missing"),
    .ranges("set without range", [[]], 7, "empty range set"),
    .ranges("list of the wrong kind", [["subnet": "10.9.0.0/24"]], 7, "ipam.ranges[0] must be an array of objects"),
    .ranges("start outside", [[["subnet": "10.9.0.0/24", "rangeStart": "10.8.0.1"]]], 7, "RangeStart 10.8.0.1"),
  ]

  @Test(arguments: cases)
  func anInvalidConfigurationIsRefused(_ bad: Case) throws {
    let node = try TestNode()
    try node.addPod("a")
    let answer = try Runtime(node: node).call("ADD", "a", input: bad.input)
    #expect(answer.process.status == 1)
    #expect(answer.code == bad.code && answer.message.contains(bad.message), "\(answer)")
    #expect(try node.remains() == [])
    #expect(try node.run(["ip", "link", "show", "cni0"]).status != 0)
  }

  @Test func tenMebibytesOnStandardInputAreRefused() throws {
    let node = try TestNode()
    try node.addPod("a")
    let input = "{\"name\": \"\(String(repeating: "n", count: 10 << 20))\"}"
    let answer = try Runtime(node: node).call("ADD", "a", input: input)
    #expect(answer.code == 5 && answer.message.contains("more than 1048576 bytes"), "\(answer)")
  }

  @Test(
    arguments: [
      (["CNI_CONTAINERID": "../x"], 4, "invalid characters in containerID"),
      (["CNI_IFNAME": "a-very-long-interface"], 4, "interface name is too long"),
      (["CNI_IFNAME": ".."], 4, "interface name is . or .."),
      (["CNI_IFNAME": "a b"], 4, "whitespace"),
      (["CNI_IFNAME": "a/b"], 4, "contains /"),
      (["CNI_COMMAND": "add"], 4, "unknown CNI_COMMAND: add"),
      (["CNI_IFNAME": "", "CNI_CONTAINERID": ""], 4, "required env variables [CNI_CONTAINERID,CNI_IFNAME] missing"),
      (["CNI_NETNS": "/no/such/path"], 8, "/no/such/path"),
      (["CNI_NETNS": "/etc/hostname"], 8, "/etc/hostname"),
      (["CNI_NETNS": "/proc/self/ns/mnt"], 8, "/proc/self/ns/mnt"),
      (["CNI_ARGS": "MAC"], 4, "invalid pair \"MAC\""),
      (["CNI_ARGS": "COLOUR=red"], 4, "unknown args [\"COLOUR=red\"]"),
      (["CNI_ARGS": "IP=nowhere"], 7, "nowhere"),
    ] as [([String: String], Int64, String)])
  func anInvalidEnvironmentIsRefused(_ environment: [String: String], _ code: Int64, _ message: String) throws {
    let node = try TestNode()
    try node.addPod("a")
    let runtime = Runtime(node: node)
    let answer = try runtime.call("ADD", "a", configuration: runtime.configuration(), environment: environment)
    #expect(answer.process.status == 1)
    #expect(answer.code == code && answer.message.contains(message), "\(answer)")
    #expect(try node.remains() == [])
  }

  /// Checks IDs and network names for every verb, since they become names of files, links and rules.
  @Test(
    arguments: [
      "", ".", "..", "../x", "a/b", "/etc/passwd", "a\nb", "a\tb", " ", "-a", "_a", ".a", "é", "a:b", "a\u{1B}b",
    ],
    ["ADD", "CHECK", "DEL"])
  func anUnsafeNameIsRefused(_ name: String, _ verb: String) throws {
    let node = try TestNode()
    try node.addPod("a")
    let runtime = Runtime(node: node)
    let before = try node.lines("find /run /var/lib/cni -xdev | sort")
    let container = try runtime.call(
      verb, "a", configuration: runtime.configuration(), environment: ["CNI_CONTAINERID": name])
    #expect(container.code == 4 && container.message.lowercased().contains("containerid"), "\(container)")
    let network = try runtime.call(verb, "a", configuration: runtime.configuration(name: name))
    #expect(network.code == 7 && network.message.contains("network name"), "\(network)")
    #expect(try node.lines("find /run /var/lib/cni -xdev | sort") == before)
  }

  /// Uses an ID near the size limit of an environment variable.
  @Test func aLongContainerIDWorks() throws {
    let node = try TestNode()
    try node.addPod("a")
    let runtime = Runtime(node: node)
    let id = String(repeating: "0123456789abcdef", count: 8000)
    let configuration = runtime.configuration(["ipMasq": true, "macspoofchk": true])
    let answer = try runtime.call("ADD", "a", id: id, configuration: configuration)
    try answer.process.succeeded()
    try runtime.call("CHECK", "a", id: id, configuration: runtime.configuration(configuration, after: answer)).process
      .succeeded()
    // An ID that differs in its last character is another container.
    try runtime.call("DEL", nil, id: id + "0", configuration: configuration).process.succeeded()
    #expect(try node.remains().count == 4)
    try runtime.call("DEL", nil, id: id, configuration: configuration).process.succeeded()
    #expect(try node.remains() == [])
  }

  @Test func aFIFOAsTheNamespaceDoesNotHang() throws {
    let node = try TestNode()
    try node.sh("mkdir -p /run/netns && mkfifo /run/netns/fifo")
    let runtime = Runtime(node: node)
    let answer = try runtime.call("ADD", "fifo", configuration: runtime.configuration())
    #expect(answer.code == 8 && answer.message.contains("/run/netns/fifo"), "\(answer)")
  }
}
