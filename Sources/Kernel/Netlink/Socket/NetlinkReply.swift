internal import Addresses
internal import CLinux

/// One message from the kernel.
package struct NetlinkReply: Sendable {
  /// The message type, such as RTM_NEWLINK or NLMSG_DONE.
  package let type: UInt16
  let flags: UInt16
  let sequence: UInt32
  /// In a notification, the port of the socket whose request caused it; 0 if the kernel itself is the cause.
  let port: UInt32
  /// The bytes after `nlmsghdr`.
  let payload: ArraySlice<UInt8>

  /// Splits a received datagram into messages.
  static func split(_ datagram: ArraySlice<UInt8>) throws(NetlinkError) -> [NetlinkReply] {
    var replies: [NetlinkReply] = []
    var rest = datagram
    while !rest.isEmpty {
      guard let header = rest.prefixValue(nlmsghdr.self) else { throw .short("a message header") }
      let length = Int(header.nlmsg_len)
      guard length >= MemoryLayout<nlmsghdr>.size, length <= rest.count else { throw .short("a message") }
      replies.append(
        NetlinkReply(
          type: header.nlmsg_type, flags: header.nlmsg_flags, sequence: header.nlmsg_seq,
          port: header.nlmsg_pid, payload: rest.prefix(length).dropFirst(MemoryLayout<nlmsghdr>.size)))
      rest = rest.dropFirst(length.netlinkAligned)
    }
    return replies
  }

  /// The family's header at the start of the payload, and the attributes after it.
  package func body<Header: BitwiseCopyable>(_ header: Header.Type) throws(NetlinkError) -> (Header, Attributes) {
    guard let value = payload.prefixValue(Header.self) else { throw .short("\(Header.self)") }
    return (value, try Attributes(payload.dropFirst(MemoryLayout<Header>.size.netlinkAligned)))
  }
}

/// The attributes of a message or of a nest (`struct nlattr`).
///
/// Bounds are checked once. Attributes are found on demand and not stored, because a list of thousands of routes is
/// read one attribute at a time.
package struct Attributes {
  private let bytes: ArraySlice<UInt8>

  /// Checks the bounds of all attributes; throws `malformed` if one is cut short.
  package init(_ bytes: ArraySlice<UInt8>) throws(NetlinkError) {
    self.bytes = bytes
    var position = bytes.startIndex
    while let length = length(at: position) {
      guard length >= MemoryLayout<nlattr>.size, length <= bytes.endIndex - position else {
        throw .short("an attribute")
      }
      position += length.netlinkAligned
    }
  }

  /// The payload of the last attribute of this type.
  package subscript(type: UInt16) -> ArraySlice<UInt8>? {
    var found: ArraySlice<UInt8>?
    forEach(type) { found = $0 }
    return found
  }

  /// The attribute's length with its header (`nla_len`); `nil` if fewer bytes are left than a header has.
  private func length(at position: Int) -> Int? {
    position + MemoryLayout<nlattr>.size <= bytes.endIndex ? Int(value(at: position)) : nil
  }

  private func type(at position: Int) -> UInt16 {
    value(at: position + 2) & NetlinkFlag.attributeTypeMask
  }

  /// A 16-bit number in the machine's byte order.
  private func value(at position: Int) -> UInt16 {
    UInt16(littleEndian: UInt16(bytes[position]) | UInt16(bytes[position + 1]) << 8)
  }

  /// A fixed-size value in the machine's byte order; `nil` if the attribute is absent or shorter.
  package func value<Value: BitwiseCopyable>(_ type: UInt16, as: Value.Type = Value.self) -> Value? {
    self[type]?.prefixValue(Value.self)
  }

  /// A string up to its NUL.
  package func string(_ type: UInt16) -> String? {
    self[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// The attributes inside an attribute.
  package func nest(_ type: UInt16) throws(NetlinkError) -> Attributes? {
    guard let payload = self[type] else { return nil }
    return try Attributes(payload)
  }

  /// The payloads of all attributes of this type, for nests that are lists.
  package func list(_ type: UInt16) -> [ArraySlice<UInt8>] {
    var found: [ArraySlice<UInt8>] = []
    forEach(type) { found.append($0) }
    return found
  }

  private func forEach(_ type: UInt16, _ body: (ArraySlice<UInt8>) -> Void) {
    var position = bytes.startIndex
    while let length = length(at: position) {
      if type == self.type(at: position) { body(bytes[(position + MemoryLayout<nlattr>.size)..<(position + length)]) }
      position += length.netlinkAligned
    }
  }

  /// An IPv4 or IPv6 address, by its length.
  func address(_ type: UInt16) -> IPAddress? {
    guard let payload = self[type] else { return nil }
    switch payload.count {
    case 4: return payload.prefixValue(UInt32.self).map { IPAddress(v4: UInt32(bigEndian: $0)) }
    case 16: return payload.prefixValue(UInt128.self).map { IPAddress(v6: UInt128(bigEndian: $0)) }
    default: return nil
    }
  }
}

extension ArraySlice<UInt8> {
  /// The first bytes as a value in the machine's byte order; `nil` if there are too few.
  func prefixValue<Value: BitwiseCopyable>(_ type: Value.Type) -> Value? {
    guard count >= MemoryLayout<Value>.size else { return nil }
    return unsafe withUnsafeBytes { unsafe $0.loadUnaligned(as: Value.self) }
  }
}

extension NetlinkError {
  fileprivate static func short(_ what: String) -> NetlinkError {
    .malformed(operation: "read a netlink message", reason: "\(what) is cut short")
  }
}
