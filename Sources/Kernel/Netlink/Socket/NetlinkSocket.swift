internal import CLinux
internal import Glibc
package import Linux

/// A netlink socket: the transport and nothing else (netlink(7)).
///
/// It belongs to the namespace that it was opened in, for good.
package struct NetlinkSocket: ~Copyable, Sendable {
  private let descriptor: OwnedDescriptor
  private var sequence: UInt32 = 0
  /// Answers about one object take some 2 KiB; a list gets the largest piece that the kernel sends (32 KiB).
  private var buffer = [UInt8](repeating: 0, count: 8192)

  /// Opens a socket of `family` (NETLINK_ROUTE, NETLINK_NETFILTER) in the thread's namespace or in `namespace`.
  ///
  /// A request without an answer fails with EAGAIN after 10 seconds.
  ///
  /// - Parameter port: what the kernel's notifications shall call the socket; where another one of the namespace has it,
  ///   and for 0, the kernel chooses one.
  package init(family: Int32, port: UInt32 = 0) throws(NetlinkError) {
    self.init(try NetlinkSocket.catching { () throws(SystemError) in try NetlinkSocket.open(family, port: port) })
  }

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
    // Extended acknowledgements bring the kernel's own words and CAP_ACK keeps them short; strict checking lets the
    // kernel filter dumps. Kernels that lack one of them work without it.
    for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
      NetlinkSocket.set(descriptor.number, SOL_NETLINK, option, Int32(1))
    }
    NetlinkSocket.set(descriptor.number, SOL_SOCKET, SO_RCVTIMEO, timeval(tv_sec: 10, tv_usec: 0))
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
    _ number: Int32, _ level: Int32, _ option: Int32, _ value: Value
  ) {
    unsafe withUnsafeBytes(of: value) {
      _ = unsafe setsockopt(number, level, option, $0.baseAddress, socklen_t($0.count))
    }
  }

  /// Sends one request and returns when the kernel has done it.
  package mutating func perform(_ request: NetlinkRequest) throws(NetlinkError) {
    if let failure = try perform([request])[0] { throw failure }
  }

  /// Sends many requests, packed, and says of each whether it failed.
  ///
  /// - Throws: only where the socket itself fails; what the kernel refuses stands in the answer.
  package mutating func perform(_ requests: [NetlinkRequest]) throws(NetlinkError) -> [NetlinkError?] {
    var failures = [NetlinkError?](repeating: nil, count: requests.count)
    var start = 0
    while start < requests.count {
      // The kernel answers while it reads: more refusals than fit the receive buffer would be lost.
      let end = min(start + 100, requests.count)
      try performChunk(requests, start..<end, edges: nil, &failures)
      start = end
    }
    return failures
  }

  /// Sends requests as one transaction, which begins and ends with a message of its own (nfnetlink), and says of each
  /// whether it failed; where one did, none was done.
  package mutating func perform(
    _ requests: [NetlinkRequest], between begin: NetlinkRequest, and end: NetlinkRequest
  ) throws(NetlinkError) -> [NetlinkError?] {
    var failures = [NetlinkError?](repeating: nil, count: requests.count)
    try performChunk(requests, requests.indices, edges: (begin, end), &failures)
    return failures
  }

  private mutating func performChunk(
    _ requests: [NetlinkRequest], _ range: Range<Int>, edges: (begin: NetlinkRequest, end: NetlinkRequest)?,
    _ failures: inout [NetlinkError?]
  ) throws(NetlinkError) {
    var datagram: [UInt8] = []
    if let begin = edges?.begin {
      sequence &+= 1
      datagram += begin.sealed(sequence: sequence, flags: 0)
    }
    let first = sequence &+ 1
    for index in range {
      sequence &+= 1
      // Refusals come unasked; the acknowledgement of the last request says that all were read.
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
          // The kernel takes no transaction at all: it has no nf_tables, or we are not allowed.
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

  /// Sends a request for one object and returns the answer.
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
  /// A list that changed while the kernel wrote it (NLM_F_DUMP_INTR) is asked for again, for five seconds: on a node
  /// where pods come and go, every other reading of some hundred links is interrupted. So is one of which something was
  /// lost (ENOBUFS).
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
    if buffer.count < 32768 { buffer = [UInt8](repeating: 0, count: 32768) }
    sequence &+= 1
    try send(request.sealed(sequence: sequence, flags: NetlinkFlag.dump), request.operation)
    var entries: [NetlinkReply] = []
    var isConsistent = true
    while true {
      let replies: [NetlinkReply]
      do throws(NetlinkError) {
        replies = try receive(request.operation)
      } catch {
        // The kernel had no memory for the next piece, or for something else that was to come; it goes on with the list.
        guard error.errno == ENOBUFS, MonotonicTime.now < deadline else { throw error }
        isConsistent = false
        continue
      }
      for reply in replies where reply.sequence == sequence {
        if reply.flags & NetlinkFlag.dumpInterrupted != 0 { isConsistent = false }
        switch reply.type {
        case NetlinkType.done:
          // The payload of NLMSG_DONE is the dump's errno, negative, as an acknowledgement's is.
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

  /// What an NLMSG_ERROR or NLMSG_DONE says; `nil` for an acknowledgement.
  static func failure(
    _ reply: NetlinkReply, _ request: NetlinkRequest
  ) throws(NetlinkError) -> NetlinkError? {
    guard let code = reply.payload.prefixValue(Int32.self) else {
      throw .malformed(operation: request.operation, reason: "an acknowledgement without a code")
    }
    guard code != 0 else { return nil }
    // Behind the code of an error stands the header of the refused message, then the attributes.
    let headerSize =
      MemoryLayout<Int32>.size + (reply.type == NetlinkType.error ? MemoryLayout<nlmsghdr>.size : 0)
    let hasWords = reply.flags & NetlinkFlag.hasExtendedAcknowledgement != 0
    let words = hasWords ? try Attributes(reply.payload.dropFirst(headerSize)) : nil
    return .refused(
      operation: request.operation, subject: request.subject, errno: 0 &- code,
      reason: words?.string(NetlinkType.acknowledgementMessage))
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

  /// What one recv(2) brings.
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

  /// Subscribes to notifications of a group (RTNLGRP_LINK, …), with room for `bufferBytes` of them.
  package mutating func subscribe(to groups: [UInt32], bufferBytes: Int32) throws(NetlinkError) {
    // FORCE needs CAP_NET_ADMIN, which whoever changes routes has; without it the limit of the system holds.
    NetlinkSocket.set(descriptor.number, SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes)
    // A link with many VLANs is told of in one message, as long as those of a list.
    buffer = [UInt8](repeating: 0, count: 1 << 15)
    for group in groups { try setMembership(of: group, true) }
  }

  /// Begins to listen to a group's notifications, or ends it.
  func setMembership(of group: UInt32, _ isMember: Bool) throws(NetlinkError) {
    let number = descriptor.number
    do throws(SystemError) {
      _ = try retryingOnInterrupt("subscribe to", "netlink group \(group)") {
        var group = group
        let option = isMember ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP
        return unsafe setsockopt(number, SOL_NETLINK, option, &group, 4)
      }
    } catch {
      throw .socket(error)
    }
  }

  /// Waits at most `limit`, without one for ever, for notifications; empty where none came in time or before `other`, a
  /// descriptor, could be read. ENOBUFS says that some were lost.
  package mutating func notifications(
    waitingAtMost limit: Duration? = nil, orReadable other: Int32? = nil
  ) throws(NetlinkError) -> [NetlinkReply] {
    let milliseconds = limit.map {
      $0.components.seconds * 1000 + $0.components.attoseconds / 1_000_000_000_000_000
    }
    // poll(2) passes a negative number by.
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
