import Glibc
import Linux
import Netlink
import Testing
import TestSupport

/// Filter hooks of links, and programs at them.
@Suite(.requiresRoot, .timeLimit(.minutes(1)))
struct TrafficControlTests {
  private let node: TestNode

  init() throws {
    node = try TestNode()
    try node.addUplink()
    try node.loadPrograms()
  }

  /// The queueing disciplines of eth0, as `tc` lists them.
  private func disciplines() throws -> String { try node.sh("tc qdisc show dev eth0") }

  private func kinds(_ socket: inout RouteSocket, _ link: Int32) throws -> Set<String> {
    Set(try socket.queueingDisciplines().filter { $0.linkIndex == link }.map(\.kind))
  }

  @Test func hooksAreAddedAndRemoved() throws {
    var socket = try node.routeSocket()
    let link = try node.index(of: "eth0")
    try #expect(!kinds(&socket, link).contains("clsact"))
    #expect(try socket.perform(.addFilterHooks(to: link), accepting: EEXIST))
    #expect(try disciplines().contains("qdisc clsact ffff:"))
    #expect(try kinds(&socket, link).contains("clsact"))
    #expect(try !socket.perform(.addFilterHooks(to: link), accepting: EEXIST))
    #expect(refusal { try socket.perform(.addFilterHooks(to: link)) }?.errno == EEXIST)
    #expect(try socket.perform(.removeFilterHooks(from: link)))
    #expect(try !disciplines().contains("clsact"))
    #expect(try !socket.perform(.removeFilterHooks(from: link), accepting: ENOENT, EINVAL))
    #expect(refusal { try socket.perform(.addFilterHooks(to: 9999)) }?.errno == ENODEV)
  }

  @Test(arguments: [FilterHook.ingress, .egress]) func aProgramIsAtItsHookOnly(_ hook: FilterHook) throws {
    var socket = try node.routeSocket()
    let link = try node.index(of: "eth0")
    #expect(try socket.filters(at: hook, of: link) == [])
    #expect(try socket.filters(at: hook, of: 9999) == [])
    try socket.perform(.addFilterHooks(to: link))
    #expect(try socket.filters(at: hook, of: link) == [])
    let id = try node.attach("from_pod", at: hook, of: link, &socket)
    let filters = try socket.filters(at: hook, of: link)
    #expect(filters.map(\.priority) == [Filter.ourPriority])
    #expect(filters.map(\.program?.name) == ["from_pod"] && filters.map(\.program?.id) == [id])
    #expect(try socket.filters(at: hook == .ingress ? .egress : .ingress, of: link) == [])
    let shown = try node.sh("tc filter show dev eth0 \(hook)")
    #expect(shown.contains("pref 50000 bpf") && shown.contains("handle 0x1 from_pod direct-action"), "\(shown)")
    #expect(shown.contains("protocol all"), "\(shown)")

    try socket.perform(.removeFilter(at: hook, of: link))
    #expect(try socket.filters(at: hook, of: link) == [])
    #expect(try !socket.perform(.removeFilter(at: hook, of: link), accepting: ENOENT, EINVAL))
  }

  /// Replacing is one message: `tc monitor` shows "replaced", and never a removal or a second program.
  @Test func aProgramIsReplacedWithoutAGap() throws {
    var socket = try node.routeSocket()
    let link = try node.index(of: "eth0")
    try socket.perform(.addFilterHooks(to: link))
    _ = try node.attach("from_pod", at: .ingress, of: link, &socket)
    let monitor = try node.start(["tc", "monitor"])
    let listens = try eventually {
      try node.sh("tc qdisc add dev lo clsact && tc qdisc del dev lo clsact")
      return monitor.output.contains("dev lo")
    }
    try #require(listens, "\(monitor.output)")
    let id = try node.attach("to_pod", at: .ingress, of: link, &socket)
    let filters = try socket.filters(at: .ingress, of: link)
    #expect(filters.map(\.program?.name) == ["to_pod"] && filters.map(\.program?.id) == [id])
    #expect(eventually { monitor.output.contains("to_pod") })
    #expect(!monitor.output.contains("deleted filter"), "\(monitor.output)")
  }

  /// Foreign filters come before ours and are kept when ours are removed; the priority distinguishes them.
  @Test func foreignFiltersAreKept() throws {
    var socket = try node.routeSocket()
    let link = try node.index(of: "eth0")
    try socket.perform(.addFilterHooks(to: link))
    try node.sh(
      """
      tc filter add dev eth0 ingress bpf da object-pinned /sys/fs/bpf/programs/to_node
      tc filter add dev eth0 ingress protocol ip prio 7 u32 match u32 0 0 classid 1:1
      """)
    _ = try node.attach("from_node", at: .ingress, of: link, &socket)
    let filters = try socket.filters(at: .ingress, of: link)
    // tc uses other names.
    #expect(filters.compactMap(\.program?.name).count == 2 && filters.last?.program?.name == "from_node")
    #expect(filters.filter { $0.priority == Filter.ourPriority }.count == 1)
    #expect(filters.last?.priority == Filter.ourPriority, "\(filters)")
    // A filter of this kind is listed as two entries, the filter and its table.
    #expect(Set(filters.filter { $0.program == nil }.map(\.priority)) == [7])
    try socket.perform(.removeFilter(at: .ingress, of: link))
    #expect(try socket.filters(at: .ingress, of: link) == filters.filter { $0.priority != Filter.ourPriority })
  }

  /// An `ingress` qdisc has one of the two hooks and prevents adding `clsact`.
  @Test func anIngressQdiscPreventsTheHooks() throws {
    var socket = try node.routeSocket()
    let link = try node.index(of: "eth0")
    try node.sh("tc qdisc add dev eth0 ingress")
    #expect(try kinds(&socket, link).contains("ingress"))
    #expect(try !socket.ensureFilterHooks(of: link))
    #expect(try kinds(&socket, link).contains("ingress"))
    try node.sh("tc qdisc del dev eth0 ingress")
    for _ in 1...2 { #expect(try socket.ensureFilterHooks(of: link)) }
    #expect(try kinds(&socket, link).contains("clsact"))
  }

  @Test func aRemovedLinkHasNoFilters() throws {
    var socket = try node.routeSocket()
    let link = try node.index(of: "eth0")
    try socket.perform(.addFilterHooks(to: link))
    _ = try node.attach("to_pod", at: .egress, of: link, &socket)
    try node.sh("ip link del eth0")
    #expect(try socket.filters(at: .egress, of: link) == [])
    #expect(try kinds(&socket, link) == [])
    try node.addUplink()
    #expect(try socket.filters(at: .egress, of: node.index(of: "eth0")) == [])
  }

  // MARK: Events

  @Test(arguments: [
    "tc qdisc add dev eth0 clsact", "tc qdisc del dev full clsact",
    "tc filter add dev full egress protocol ip u32 match u32 0 0 classid 1:1", "tc filter del dev full ingress pref 9",
    "ip link set eth0 address 02:00:00:00:00:77", "ip link add more type bridge", "ip link set full down",
  ])
  func changesOfOthersAreNotified(_ change: String) throws {
    try node.sh(
      """
      ip link add full type bridge && ip link set full up && tc qdisc add dev full clsact
      tc filter add dev full ingress protocol ip pref 9 u32 match u32 0 0 classid 1:1
      """)
    let port: UInt32 = 0x4B00_0001
    var events = try TrafficControlEvents(in: node.namespace())
    // Notifications that the fixture caused may still arrive.
    while try events.waitForChange(atMost: .milliseconds(100), but: port) {}
    try node.sh(change)
    #expect(try events.waitForChange(atMost: .seconds(10), but: port))
  }

  @Test func ownChangesAreIgnored() throws {
    let port: UInt32 = 0x4B00_0002
    let link = try node.index(of: "eth0")
    var events = try TrafficControlEvents(in: node.namespace())
    while try events.waitForChange(atMost: .milliseconds(100), but: port) {}
    var socket: RouteSocket?
    try node.namespace().run { socket = try? RouteSocket(port: port) }
    try socket?.perform(.addFilterHooks(to: link))
    let program = try node.program("from_node")
    try socket?.perform(.setFilter("from_node", program, at: .ingress, of: link))
    #expect(try !events.waitForChange(atMost: .milliseconds(300), but: port))
    #expect(try node.sh("tc filter show dev eth0 ingress").contains("from_node"))
    try node.sh("tc filter del dev eth0 ingress")
    #expect(try events.waitForChange(atMost: .seconds(10), but: port))
  }
}
