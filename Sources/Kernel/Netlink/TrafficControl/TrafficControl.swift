internal import CLinux
internal import Glibc
package import Linux

/// The point at which filters of a link see its packets (`clsact`).
package enum FilterHook: Sendable, CaseIterable {
  /// Incoming packets, before any bridge or routing.
  case ingress
  /// Outgoing packets, after everything else.
  case egress

  /// `tcm_parent`: TC_H_MAKE of TC_H_CLSACT and the hook's minor number (linux/pkt_sched.h).
  fileprivate var parent: UInt32 {
    let minor =
      switch self {
      case .ingress: TC_H_MIN_INGRESS
      case .egress: TC_H_MIN_EGRESS
      }
    return TrafficControl.clsactHandle | minor
  }
}

/// A filter of a link at a hook.
package struct Filter: Sendable, Equatable {
  /// The priority; the lowest sees packets first.
  package let priority: UInt16
  /// The BPF program of the filter (net/sched/cls_bpf.c); `nil` for other kinds of filter.
  package let program: AttachedProgram?

  /// A BPF program that is attached as a filter.
  package struct AttachedProgram: Sendable, Equatable {
    /// The name that was given when it was attached.
    package let name: String
    /// The program's ID (`bpf_prog_info.id`).
    package let id: UInt32
  }

  /// The priority of Causeway's filters: after all filters with a priority that the kernel chose, so that those see
  /// packets first. The kernel's choice begins at 49152 and goes down (net/sched/cls_api.c, `tcf_auto_prio`).
  package static let ourPriority: UInt16 = 50000
}

/// A queueing discipline of a link (`struct tcmsg`).
package struct QueueingDiscipline: Sendable, Equatable {
  /// The link's index.
  package let linkIndex: Int32
  /// The kind: "noqueue", "tbf", "ingress", "clsact", ….
  package let kind: String
}

extension NetlinkRequest {
  /// Adds both hooks to a link. EEXIST if it has them, or the older `ingress` in their place.
  ///
  /// The kernel stops the link for a moment, and packets sent at that moment are lost (net/sched/sch_api.c,
  /// `qdisc_graft`). Removing the hooks has the same effect.
  package static func addFilterHooks(to link: Int32) -> NetlinkRequest {
    var request = NetlinkRequest(
      "add clsact to the link of index", String(link), type: RouteMessage.newDiscipline,
      flags: NetlinkFlag.create | NetlinkFlag.exclusive)
    request.append(trafficHeader(link, parent: TrafficControl.clsact, handle: TrafficControl.clsactHandle))
    request.put(TrafficAttribute.kind, cString: "clsact")
    return request
  }

  /// Removes the hooks and all their filters. ENOENT if the link has none.
  package static func removeFilterHooks(from link: Int32) -> NetlinkRequest {
    var request = NetlinkRequest(
      "remove clsact from the link of index", String(link), type: RouteMessage.deleteDiscipline)
    request.append(trafficHeader(link, parent: TrafficControl.clsact, handle: TrafficControl.clsactHandle))
    return request
  }

  /// Attaches a program at our priority of a hook; a program that is there is replaced without a gap.
  ///
  /// The request holds the program's descriptor number, so `program` must stay open until it was performed.
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
      // The program's return value is the verdict.
      options.put(TrafficAttribute.programFlags, UInt32(TCA_BPF_FLAG_ACT_DIRECT))
    }
    return request
  }

  /// Removes the filter at our priority of a hook. ENOENT or EINVAL if there is none.
  package static func removeFilter(at hook: FilterHook, of link: Int32) -> NetlinkRequest {
    var request = NetlinkRequest(
      "remove our filter from the link of index", String(link), type: RouteMessage.deleteFilter)
    request.append(filterHeader(hook, link))
    request.put(TrafficAttribute.kind, cString: "bpf")
    return request
  }

  private static func filterHeader(_ hook: FilterHook, _ link: Int32) -> tcmsg {
    var header = trafficHeader(link, parent: hook.parent, handle: 1)
    // The priority, and all protocols.
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
  /// Adds both hooks to a link unless it has them; false if an `ingress` qdisc has their place.
  ///
  /// An `ingress` qdisc would accept an egress filter too, and run it at ingress (net/sched/sch_ingress.c,
  /// `ingress_tcf_block`).
  package mutating func ensureFilterHooks(of link: Int32) throws(NetlinkError) -> Bool {
    if try perform(.addFilterHooks(to: link), accepting: EEXIST) { return true }
    return try queueingDisciplines().contains { $0.linkIndex == link && $0.kind == "clsact" }
  }

  /// Lists the filters at a link's hook; empty if the link has no hooks or does not exist.
  package mutating func filters(at hook: FilterHook, of link: Int32) throws(NetlinkError) -> [Filter] {
    var request = NetlinkRequest("list", "the filters of the link of index \(link)", type: RouteMessage.getFilter)
    request.append(NetlinkRequest.trafficHeader(link, parent: hook.parent))
    var filters: [Filter] = []
    do throws(NetlinkError) {
      for reply in try netlink.dump(request) where reply.type == RouteMessage.newFilter {
        let (header, attributes) = try reply.body(tcmsg.self)
        // Each kind has an entry of its own before its filters, with handle 0.
        guard header.tcm_handle != 0 else { continue }
        var program: Filter.AttachedProgram?
        if attributes.string(TrafficAttribute.kind) == "bpf",
          let options = try attributes.nest(TrafficAttribute.options),
          let id: UInt32 = options.value(TrafficAttribute.programID)
        {
          program = Filter.AttachedProgram(name: options.string(TrafficAttribute.programName) ?? "", id: id)
        }
        filters.append(Filter(priority: UInt16(truncatingIfNeeded: header.tcm_info >> 16), program: program))
      }
    } catch {
      guard [ENODEV, EINVAL, ENOENT].contains(error.errno) else { throw error }
    }
    return filters
  }

  /// Lists the queueing disciplines of all links; empty if the kernel has no traffic control.
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

/// A subscription to the kernel's notifications about queueing disciplines, filters and links.
package struct TrafficControlEvents: ~Copyable, Sendable {
  private var netlink: NetlinkSocket

  /// Subscribes in the calling thread's namespace.
  package init() throws(NetlinkError) {
    try self.init(NetlinkSocket(family: NETLINK_ROUTE))
  }

  /// Subscribes in another network namespace.
  package init(in namespace: borrowing NetworkNamespace) throws(NetlinkError) {
    try self.init(NetlinkSocket(family: NETLINK_ROUTE, in: namespace))
  }

  private init(_ netlink: consuming NetlinkSocket) throws(NetlinkError) {
    self.netlink = netlink
    try self.netlink.subscribe(to: [RTNLGRP_TC, RTNLGRP_LINK].map { $0.rawValue }, bufferBytes: 4 << 20)
  }

  /// Waits at most `limit` for a change; true if one was notified, or if notifications were lost.
  ///
  /// - Parameter port: the port ID of a socket whose own changes are ignored.
  package mutating func waitForChange(atMost limit: Duration, but port: UInt32) throws(NetlinkError) -> Bool {
    let deadline = MonotonicTime.now + limit
    repeat {
      do throws(NetlinkError) {
        let events = try netlink.notifications(waitingAtMost: max(.zero, deadline - MonotonicTime.now))
        // The chain that comes with the first filter is notified without a port (net/sched/cls_api.c,
        // `__tcf_chain_get`); the filter itself is notified with one.
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
  /// The parent of the clsact qdisc (linux/pkt_sched.h, TC_H_CLSACT).
  static let clsact = UInt32(TC_H_INGRESS)
  /// The handle of the clsact qdisc: the major part of TC_H_CLSACT.
  static let clsactHandle = UInt32(TC_H_INGRESS) & UInt32(TC_H_MAJ_MASK)
}
