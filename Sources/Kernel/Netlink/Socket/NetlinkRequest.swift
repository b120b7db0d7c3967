internal import CLinux

/// One netlink message to the kernel, with the words for an error message.
package struct NetlinkRequest: Sendable {
  /// The operation in words: "add the route".
  package let operation: String
  /// The object of the operation: a prefix, a link's name.
  package let subject: String
  /// The whole message: `nlmsghdr`, the family's own header, attributes.
  private var bytes: [UInt8] = []

  /// The offsets of the fields of `nlmsghdr` that `sealed` fills in.
  private enum HeaderOffset {
    static let length = 0
    static let flags = 6
    static let sequence = 8
  }

  /// Begins a message; NLM_F_REQUEST is always set.
  package init(_ operation: String, _ subject: String, type: UInt16, flags: UInt16 = 0) {
    self.operation = operation
    self.subject = subject
    bytes.reserveCapacity(256)
    append(
      nlmsghdr(
        nlmsg_len: 0, nlmsg_type: type, nlmsg_flags: flags | NetlinkFlag.request, nlmsg_seq: 0, nlmsg_pid: 0))
  }

  /// Appends a kernel struct byte for byte, padded.
  package mutating func append<Header: BitwiseCopyable>(_ header: Header) {
    unsafe withUnsafeBytes(of: header) { unsafe bytes.append(contentsOf: $0) }
    pad()
  }

  /// Adds a fixed-size attribute in the machine's byte order.
  package mutating func put<Value: BitwiseCopyable>(_ type: UInt16, _ value: Value) {
    begin(type, payloadSize: MemoryLayout<Value>.size)
    append(value)
  }

  /// Adds a number in network byte order, as nf_tables expects.
  package mutating func put<Number: FixedWidthInteger & BitwiseCopyable>(_ type: UInt16, bigEndian value: Number) {
    put(type, value.bigEndian)
  }

  /// Adds an attribute of plain bytes: an IP or MAC address.
  package mutating func put(_ type: UInt16, bytes payload: some Collection<UInt8>) {
    begin(type, payloadSize: payload.count)
    bytes.append(contentsOf: payload)
    pad()
  }

  /// Adds a NUL-terminated string.
  package mutating func put(_ type: UInt16, cString: String) {
    put(type, bytes: Array(cString.utf8) + [0])
  }

  /// Adds an attribute that contains the attributes that `body` adds.
  package mutating func nest(_ type: UInt16, _ body: (inout NetlinkRequest) -> Void) {
    let start = bytes.count
    begin(type | NetlinkFlag.nested, payloadSize: 0)
    body(&self)
    store(UInt16(clamping: bytes.count - start), at: start)
  }

  private mutating func begin(_ type: UInt16, payloadSize: Int) {
    append(nlattr(nla_len: UInt16(clamping: payloadSize + MemoryLayout<nlattr>.size), nla_type: type))
  }

  /// Fills up with zeros to the alignment of messages and attributes.
  private mutating func pad() {
    while bytes.count < bytes.count.netlinkAligned { bytes.append(0) }
  }

  private mutating func store<Value: BitwiseCopyable>(_ value: Value, at offset: Int) {
    unsafe bytes.withUnsafeMutableBytes {
      unsafe $0.storeBytes(of: value, toByteOffset: offset, as: Value.self)
    }
  }

  /// The message ready to send, with its length, additional flags and sequence number filled in.
  func sealed(sequence: UInt32, flags: UInt16) -> [UInt8] {
    var sealed = self
    let ownFlags = unsafe bytes.withUnsafeBytes {
      unsafe $0.load(fromByteOffset: HeaderOffset.flags, as: UInt16.self)
    }
    sealed.store(UInt32(clamping: bytes.count), at: HeaderOffset.length)
    sealed.store(ownFlags | flags, at: HeaderOffset.flags)
    sealed.store(sequence, at: HeaderOffset.sequence)
    return sealed.bytes
  }
}
