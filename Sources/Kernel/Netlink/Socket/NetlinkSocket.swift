internal import CLinux
internal import Glibc
package import Linux

/// A netlink socket: the transport of requests, replies and notifications (netlink(7)).
///
/// A socket always belongs to the network namespace that it was opened in.
package struct NetlinkSocket: ~Copyable, Sendable {
  private let descriptor: OwnedDescriptor
  private var sequence: UInt32 = 0
  /// The receive buffer: a reply about one object takes some 2 KiB. For lists it grows to `largestReplyBytes`.
  private var buffer = [UInt8](repeating: 0, count: 8192)
  /// The largest datagram of a list that the kernel sends (net/netlink/af_netlink.c, `netlink_recvmsg`).
  private static let largestReplyBytes = 32768

  /// Opens a socket in the calling thread's network namespace.
  ///
  /// A request that gets no reply fails with EAGAIN after 10 seconds.
  ///
  /// - Parameters:
  ///   - family: the netlink protocol, such as NETLINK_ROUTE or NETLINK_NETFILTER.
  ///   - port: the port ID that notifications of this socket's changes carry (`nlmsg_pid`). The kernel chooses one if
  ///     it is 0, or if another socket of the namespace has it.
  package init(family: Int32, port: UInt32 = 0) throws(NetlinkError) {
    self.init(try NetlinkSocket.catching { () throws(SystemError) in try NetlinkSocket.open(family, port: port) })
  }

  /// Opens a socket in another network namespace.
  ///
  /// - Parameters:
  ///   - family: the netlink protocol, such as NETLINK_ROUTE or NETLINK_NETFILTER.
  ///   - body: runs in the namespace before the socket is opened.
  package init(
    family: Int32, in namespace: borrowing NetworkNamespace, after body: () throws(SystemError) -> Void = {}
  ) throws(NetlinkError) {
    do throws(SystemError) {
      self.init(
        owning: try namespace.run { () throws(SystemError) in
          try body()
          return try NetlinkSocket.open(family).release()
        })
    } catch {
      throw .socket(error)
    }
  }

  /// The number of the socket's descriptor.
  package var number: Int32 { descriptor.number }

  private init(_ descriptor: consuming OwnedDescriptor) {
    self.descriptor = descriptor
  }

  private init(owning number: Int32) {
    descriptor = OwnedDescriptor(owning: number)
  }

  private static func catching(
    _ body: () throws(SystemError) -> OwnedDescriptor
  ) throws(NetlinkError) -> OwnedDescriptor {
    do throws(SystemError) { return try body() } catch { throw .socket(error) }
  }

  private static func open(_ family: Int32, port: UInt32 = 0) throws(SystemError) -> OwnedDescriptor {
    let descriptor = OwnedDescriptor(
      owning: try retryingOnInterrupt("open", "a netlink socket") {
        socket(AF_NETLINK, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), family)
      })
    do throws(SystemError) {
      try bind(descriptor.number, port: port)
    } catch {
      guard port != 0, error.errno == EADDRINUSE else { throw error }
      try bind(descriptor.number, port: 0)
    }
    // Extended acknowledgements carry the kernel's error text, CAP_ACK keeps them short, and strict checking lets the
    // kernel filter lists. Kernels that lack one of these options work without it.
    for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
      NetlinkSocket.set(option, level: SOL_NETLINK, of: descriptor.number, to: Int32(1))
    }
    NetlinkSocket.set(SO_RCVTIMEO, level: SOL_SOCKET, of: descriptor.number, to: timeval(tv_sec: 10, tv_usec: 0))
    return descriptor
  }

  private static func bind(_ number: Int32, port: UInt32) throws(SystemError) {
    var address = sockaddr_nl()
    address.nl_family = UInt16(AF_NETLINK)
    address.nl_pid = port
    _ = try retryingOnInterrupt("bind", "a netlink socket") {
      unsafe withUnsafePointer(to: &address) {
        unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe Glibc.bind(number, $0, socklen_t(MemoryLayout<sockaddr_nl>.size))
        }
      }
    }
  }

  private static func set<Value: BitwiseCopyable>(
    _ option: Int32, level: Int32, of number: Int32, to value: Value
  ) {
    unsafe withUnsafeBytes(of: value) {
      _ = unsafe setsockopt(number, level, option, $0.baseAddress, socklen_t($0.count))
    }
  }

  /// Sends one request and returns when the kernel has carried it out.
  package mutating func perform(_ request: NetlinkRequest) throws(NetlinkError) {
    if let failure = try perform([request])[0] { throw failure }
  }

  /// Sends many requests in few datagrams; returns for each request its error, or `nil`.
  ///
  /// - Throws: only if the socket itself fails.
  package mutating func perform(_ requests: [NetlinkRequest]) throws(NetlinkError) -> [NetlinkError?] {
    var failures = [NetlinkError?](repeating: nil, count: requests.count)
    var start = 0
    while start < requests.count {
      // The kernel sends errors while it reads the datagram: more errors than the receive buffer holds would be lost.
      let end = min(start + 100, requests.count)
      try performChunk(requests, start..<end, edges: nil, failures: &failures)
      start = end
    }
    return failures
  }

  /// Sends requests as one transaction between a begin and an end message (nfnetlink); returns for each request its
  /// error, or `nil`. If any failed, none was carried out.
  package mutating func perform(
    _ requests: [NetlinkRequest], between begin: NetlinkRequest, and end: NetlinkRequest
  ) throws(NetlinkError) -> [NetlinkError?] {
    var failures = [NetlinkError?](repeating: nil, count: requests.count)
    try performChunk(requests, requests.indices, edges: (begin, end), failures: &failures)
    return failures
  }

  private mutating func performChunk(
    _ requests: [NetlinkRequest], _ range: Range<Int>, edges: (begin: NetlinkRequest, end: NetlinkRequest)?,
    failures: inout [NetlinkError?]
  ) throws(NetlinkError) {
    var datagram: [UInt8] = []
    if let begin = edges?.begin {
      sequence &+= 1
      datagram += begin.sealed(sequence: sequence, flags: 0)
    }
    let first = sequence &+ 1
    for index in range {
      sequence &+= 1
      // Errors are always sent; the acknowledgement of the last request shows that all were read.
      let flags = index == range.upperBound - 1 ? NetlinkFlag.acknowledge : 0
      datagram += requests[index].sealed(sequence: sequence, flags: flags)
    }
    if let end = edges?.end {
      sequence &+= 1
      datagram += end.sealed(sequence: sequence, flags: 0)
    }
    let operation = requests[range.lowerBound].operation
    try send(datagram, operation)
    while true {
      for reply in try receive(operation) where reply.type == NetlinkType.error {
        if edges != nil, reply.sequence == first &- 1,
          let refusal = try NetlinkSocket.failure(reply, requests[range.lowerBound])
        {
          // The kernel refuses the transaction itself: it has no nf_tables, or this process lacks the capability.
          throw refusal
        }
        let offset = Int(reply.sequence &- first)
        guard offset < range.count else { continue }
        let index = range.lowerBound + offset
        failures[index] = try NetlinkSocket.failure(reply, requests[index])
        if index == range.upperBound - 1 { return }
      }
    }
  }

  /// Sends a request for one object and returns the reply.
  package mutating func get(_ request: NetlinkRequest) throws(NetlinkError) -> NetlinkReply {
    sequence &+= 1
    try send(request.sealed(sequence: sequence, flags: 0), request.operation)
    while true {
      for reply in try receive(request.operation) where reply.sequence == sequence {
        if reply.type == NetlinkType.error {
          if let failure = try NetlinkSocket.failure(reply, request) { throw failure }
        } else {
          return reply
        }
      }
    }
  }

  /// Sends a request for a list and returns every entry.
  ///
  /// A list that changed while the kernel wrote it (NLM_F_DUMP_INTR) is read again, for up to five seconds. On a node
  /// where pods are added and removed, every second reading of some hundred links is interrupted. A list of which a
  /// part was lost (ENOBUFS) is read again, too.
  package mutating func dump(_ request: NetlinkRequest) throws(NetlinkError) -> [NetlinkReply] {
    let deadline = MonotonicTime.now + .seconds(5)
    repeat {
      if let replies = try dumpOnce(request, until: deadline) { return replies }
    } while MonotonicTime.now < deadline
    throw .refused(
      operation: request.operation, subject: request.subject, errno: EINTR,
      reason: "the list changed at each reading, for five seconds")
  }

  private mutating func dumpOnce(
    _ request: NetlinkRequest, until deadline: Duration
  ) throws(NetlinkError) -> [NetlinkReply]? {
    makeRoomForLists()
    sequence &+= 1
    try send(request.sealed(sequence: sequence, flags: NetlinkFlag.dump), request.operation)
    var entries: [NetlinkReply] = []
    var isConsistent = true
    while true {
      let replies: [NetlinkReply]
      do throws(NetlinkError) {
        replies = try receive(request.operation)
      } catch {
        // The kernel had no memory for the next part, or for another message; it continues the list.
        guard error.errno == ENOBUFS, MonotonicTime.now < deadline else { throw error }
        isConsistent = false
        continue
      }
      for reply in replies where reply.sequence == sequence {
        if reply.flags & NetlinkFlag.dumpInterrupted != 0 { isConsistent = false }
        switch reply.type {
        case NetlinkType.done:
          // The payload of NLMSG_DONE is the negative errno of the list, as in an acknowledgement.
          if let failure = try NetlinkSocket.failure(reply, request) { throw failure }
          return isConsistent ? entries : nil
        case NetlinkType.error:
          guard let failure = try NetlinkSocket.failure(reply, request) else { continue }
          guard failure.errno == ENOBUFS else { throw failure }
          isConsistent = false
        default: entries.append(reply)
        }
      }
    }
  }

  /// The error in an NLMSG_ERROR or NLMSG_DONE; `nil` for an acknowledgement.
  static func failure(
    _ reply: NetlinkReply, _ request: NetlinkRequest
  ) throws(NetlinkError) -> NetlinkError? {
    guard let code = reply.payload.prefixValue(Int32.self) else {
      throw .malformed(operation: request.operation, reason: "an acknowledgement without a code")
    }
    guard code != 0 else { return nil }
    // After the code of an error comes the header of the refused message, then the attributes.
    let headerSize =
      MemoryLayout<Int32>.size + (reply.type == NetlinkType.error ? MemoryLayout<nlmsghdr>.size : 0)
    let hasText = reply.flags & NetlinkFlag.hasExtendedAcknowledgement != 0
    let text = hasText ? try Attributes(reply.payload.dropFirst(headerSize)) : nil
    return .refused(
      operation: request.operation, subject: request.subject, errno: 0 &- code,
      reason: text?.string(NetlinkType.acknowledgementMessage))
  }

  private func send(_ datagram: [UInt8], _ operation: String) throws(NetlinkError) {
    do throws(SystemError) {
      _ = try retryingOnInterrupt(operation, "over netlink") {
        unsafe datagram.withUnsafeBytes { unsafe Glibc.send(descriptor.number, $0.baseAddress, $0.count, 0) }
      }
    } catch {
      throw .socket(error)
    }
  }

  private mutating func makeRoomForLists() {
    guard buffer.count < NetlinkSocket.largestReplyBytes else { return }
    buffer = [UInt8](repeating: 0, count: NetlinkSocket.largestReplyBytes)
  }

  /// Receives one datagram and splits it into messages (recv(2)).
  private mutating func receive(_ operation: String) throws(NetlinkError) -> [NetlinkReply] {
    let number = descriptor.number
    let count: Int
    do throws(SystemError) {
      count = try retryingOnInterrupt(operation, "over netlink") {
        unsafe buffer.withUnsafeMutableBytes {
          unsafe recv(number, $0.baseAddress, $0.count, Int32(MSG_TRUNC))
        }
      }
    } catch {
      throw .socket(error)
    }
    guard count <= buffer.count else {
      throw .malformed(operation: operation, reason: "an answer of \(count) bytes")
    }
    return try NetlinkReply.split(buffer[..<count])
  }

  /// Subscribes to the notifications of multicast groups (RTNLGRP_LINK, …).
  ///
  /// - Parameter bufferBytes: the size of the socket's receive buffer; notifications that do not fit are lost.
  package mutating func subscribe(to groups: [UInt32], bufferBytes: Int32) throws(NetlinkError) {
    // SO_RCVBUFFORCE needs CAP_NET_ADMIN, as changing routes does. Without it the system's limit holds.
    NetlinkSocket.set(SO_RCVBUFFORCE, level: SOL_SOCKET, of: descriptor.number, to: bufferBytes)
    // The notification of a link with many VLANs is as long as a part of a list.
    makeRoomForLists()
    for group in groups { try setMembership(of: group, true) }
  }

  /// Subscribes to a group's notifications, or unsubscribes.
  func setMembership(of group: UInt32, _ isMember: Bool) throws(NetlinkError) {
    let number = descriptor.number
    do throws(SystemError) {
      _ = try retryingOnInterrupt("subscribe to", "netlink group \(group)") {
        var group = group
        let option = isMember ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP
        return unsafe setsockopt(number, SOL_NETLINK, option, &group, socklen_t(MemoryLayout<UInt32>.size))
      }
    } catch {
      throw .socket(error)
    }
  }

  /// Waits for notifications; empty if none arrived in time, or before `other` became readable.
  ///
  /// - Parameters:
  ///   - limit: how long to wait; `nil` for no limit.
  ///   - other: a descriptor that ends the wait when it becomes readable.
  /// - Throws: ENOBUFS if notifications were lost.
  package mutating func notifications(
    waitingAtMost limit: Duration? = nil, orReadable other: Int32? = nil
  ) throws(NetlinkError) -> [NetlinkReply] {
    let milliseconds = limit.map {
      $0.components.seconds * 1000 + $0.components.attoseconds / 1_000_000_000_000_000
    }
    // poll(2) ignores negative descriptors.
    var waits = [descriptor.number, other ?? -1].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    do throws(SystemError) {
      _ = try retryingOnInterrupt("wait for", "netlink notifications") {
        unsafe poll(&waits, 2, Int32(clamping: milliseconds ?? -1))
      }
    } catch {
      throw .socket(error)
    }
    return waits[0].revents == 0 ? [] : try receive("read netlink notifications")
  }
}
