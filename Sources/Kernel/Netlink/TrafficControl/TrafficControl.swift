internal import CLinux
internal import Glibc
package import Linux

/// Where a link's packets meet filters (`clsact`): as they come in, before any bridge or routing, or last, as they go out.
package enum FilterHook: Sendable, CaseIterable {
  case ingress
  case egress

  /// `tcm_parent` (linux/pkt_sched.h, TC_H_MAKE of TC_H_CLSACT with TC_H_MIN_INGRESS or TC_H_MIN_EGRESS).
  fileprivate var parent: UInt32 {
    switch self {
    case .ingress: 0xFFFF_FFF2
    case .egress: 0xFFFF_FFF3
    }
  }
}

/// A filter at a hook.
package struct Filter: Sendable, Equatable {
  package let priority: UInt16
  /// Where it is a BPF program (net/sched/cls_bpf.c): its name as a filter, and the kernel's number of it.
  package let program: Program?

  package struct Program: Sendable, Equatable {
    package let name: String
    package let id: UInt32
  }

  /// The helper's and the plugin's filters: behind all that got its place from the kernel (net/sched/cls_api.c,
  /// `tcf_auto_prio`, begins at 49152 and goes down), so that others see the packets first.
  package static let ourPriority: UInt16 = 50000
}

/// What a link's packets are queued by (`struct tcmsg` of a qdisc).
package struct QueueingDiscipline: Sendable, Equatable {
  package let linkIndex: Int32
  /// "noqueue", "tbf", "ingress", "clsact", ….
  package let kind: String
}

extension NetlinkRequest {
  /// Gives the link both hooks. EEXIST where it has them, or the older `ingress` in their place.
  ///
  /// For a moment the kernel stops the link, and what it should send just then is lost (net/sched/sch_api.c, `qdisc_graft`);
  /// the same where they are taken away.
  package static func addFilterHooks(to link: Int32) -> NetlinkRequest {
    var request = NetlinkRequest(
      "add clsact to the link of index", String(link), type: RouteMessage.newDiscipline,
      flags: NetlinkFlag.create | NetlinkFlag.exclusive)
    request.append(trafficHeader(link, parent: TrafficControl.clsact, handle: TrafficControl.clsactHandle))
    request.put(TrafficAttribute.kind, cString: "clsact")
    return request
  }

  /// Takes the hooks away, and all filters with them. ENOENT where there are none.
  package static func removeFilterHooks(from link: Int32) -> NetlinkRequest {
    var request = NetlinkRequest(
      "remove clsact from the link of index", String(link), type: RouteMessage.deleteDiscipline)
    request.append(trafficHeader(link, parent: TrafficControl.clsact, handle: TrafficControl.clsactHandle))
    return request
  }

  /// Puts a program in our place of a hook; one that is there gives way without a packet between.
  ///
  /// The request names the program's descriptor: it must stay open until it was performed.
  package static func setFilter(
    _ name: String, _ program: borrowing BPFProgram, at hook: FilterHook, of link: Int32
  ) -> NetlinkRequest {
    var request = NetlinkRequest(
      "attach \(name) to the link of index", String(link), type: RouteMessage.newFilter, flags: NetlinkFlag.create)
    request.append(filterHeader(hook, link))
    request.put(TrafficAttribute.kind, cString: "bpf")
    let descriptor = program.descriptor.number
    request.nest(TrafficAttribute.options) { options in
      options.put(TrafficAttribute.programDescriptor, descriptor)
      options.put(TrafficAttribute.programName, cString: name)
      // What the program returns is the verdict.
      options.put(TrafficAttribute.programFlags, UInt32(TCA_BPF_FLAG_ACT_DIRECT))
    }
    return request
  }

  /// Takes what is in our place of a hook away. ENOENT or EINVAL where there is nothing.
  package static func removeFilter(at hook: FilterHook, of link: Int32) -> NetlinkRequest {
    var request = NetlinkRequest(
      "remove our filter from the link of index", String(link), type: RouteMessage.deleteFilter)
    request.append(filterHeader(hook, link))
    request.put(TrafficAttribute.kind, cString: "bpf")
    return request
  }

  private static func filterHeader(_ hook: FilterHook, _ link: Int32) -> tcmsg {
    var header = trafficHeader(link, parent: hook.parent, handle: 1)
    // Of all protocols.
    header.tcm_info = UInt32(Filter.ourPriority) << 16 | UInt32(UInt16(ETH_P_ALL).bigEndian)
    return header
  }

  fileprivate static func trafficHeader(_ link: Int32, parent: UInt32 = 0, handle: UInt32 = 0) -> tcmsg {
    var header = tcmsg()
    header.tcm_family = UInt8(AF_UNSPEC)
    header.tcm_ifindex = link
    header.tcm_parent = parent
    header.tcm_handle = handle
    return header
  }
}

extension RouteSocket {
  /// Gives the link both hooks; false where an `ingress` qdisc has their place.
  ///
  /// Such a one would take a filter for egress, too, and run it at ingress (net/sched/sch_ingress.c, `ingress_tcf_block`).
  package mutating func ensureFilterHooks(of link: Int32) throws(NetlinkError) -> Bool {
    if try perform(.addFilterHooks(to: link), accepting: EEXIST) { return true }
    return try queueingDisciplines().contains { $0.linkIndex == link && $0.kind == "clsact" }
  }

  /// The filters at a link's hook; none where the link has no hooks, or is gone.
  package mutating func filters(at hook: FilterHook, of link: Int32) throws(NetlinkError) -> [Filter] {
    var request = NetlinkRequest("list", "the filters of the link of index \(link)", type: RouteMessage.getFilter)
    request.append(NetlinkRequest.trafficHeader(link, parent: hook.parent))
    var filters: [Filter] = []
    do throws(NetlinkError) {
      for reply in try netlink.dump(request) where reply.type == RouteMessage.newFilter {
        let (header, attributes) = try reply.body(tcmsg.self)
        // Each kind is told once more by itself, before its filters.
        guard header.tcm_handle != 0 else { continue }
        var program: Filter.Program?
        if attributes.string(TrafficAttribute.kind) == "bpf",
          let options = try attributes.nest(TrafficAttribute.options),
          let id: UInt32 = options.value(TrafficAttribute.programID)
        {
          program = Filter.Program(name: options.string(TrafficAttribute.programName) ?? "", id: id)
        }
        filters.append(Filter(priority: UInt16(truncatingIfNeeded: header.tcm_info >> 16), program: program))
      }
    } catch {
      guard [ENODEV, EINVAL, ENOENT].contains(error.errno) else { throw error }
    }
    return filters
  }

  /// What all links' packets are queued by; nothing where the kernel has no traffic control.
  package mutating func queueingDisciplines() throws(NetlinkError) -> [QueueingDiscipline] {
    var request = NetlinkRequest("list", "the queueing disciplines", type: RouteMessage.getDiscipline)
    request.append(NetlinkRequest.trafficHeader(0))
    var found: [QueueingDiscipline] = []
    do throws(NetlinkError) {
      for reply in try netlink.dump(request) where reply.type == RouteMessage.newDiscipline {
        let (header, attributes) = try reply.body(tcmsg.self)
        guard let kind = attributes.string(TrafficAttribute.kind) else { continue }
        found.append(QueueingDiscipline(linkIndex: header.tcm_ifindex, kind: kind))
      }
    } catch {
      guard error.errno == EOPNOTSUPP else { throw error }
    }
    return found
  }
}

/// The kernel's notifications of queueing disciplines, filters, and links.
package struct TrafficControlEvents: ~Copyable, Sendable {
  private var netlink: NetlinkSocket

  /// Subscribes in the calling thread's namespace.
  package init() throws(NetlinkError) {
    try self.init(NetlinkSocket(family: NETLINK_ROUTE))
  }

  /// The same in another namespace.
  package init(in namespace: borrowing NetworkNamespace) throws(NetlinkError) {
    try self.init(NetlinkSocket(family: NETLINK_ROUTE, in: namespace))
  }

  private init(_ netlink: consuming NetlinkSocket) throws(NetlinkError) {
    self.netlink = netlink
    try self.netlink.subscribe(to: [RTNLGRP_TC, RTNLGRP_LINK].map(\.rawValue), bufferBytes: 4 << 20)
  }

  /// Waits at most `limit` for a change and says whether one came; notifications that were lost count as one.
  ///
  /// - Parameter port: changes asked for by the sockets of this port don't count; whoever asked knows.
  package mutating func waitForChange(atMost limit: Duration, but port: UInt32) throws(NetlinkError) -> Bool {
    let deadline = MonotonicTime.now + limit
    repeat {
      do throws(NetlinkError) {
        let events = try netlink.notifications(waitingAtMost: max(.zero, deadline - MonotonicTime.now))
        // The chain that a first filter brings is told of as nobody's change (net/sched/cls_api.c,
        // `__tcf_chain_get`), and the filter besides.
        if events.contains(where: { $0.port != port && $0.type != RouteMessage.newChain }) { return true }
      } catch {
        if case .malformed = error { return true }
        guard error.errno == ENOBUFS else { throw error }
        return true
      }
    } while MonotonicTime.now < deadline
    return false
  }
}

private enum TrafficControl {
  /// linux/pkt_sched.h, TC_H_CLSACT.
  static let clsact: UInt32 = 0xFFFF_FFF1
  static let clsactHandle: UInt32 = 0xFFFF_0000
}
