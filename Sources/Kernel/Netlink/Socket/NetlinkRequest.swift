internal import CLinux

/// One netlink message to the kernel, with what it is for: a failure is told in those words.
package struct NetlinkRequest: Sendable {
  /// What is asked, as a person would say it: "add the route".
  package let operation: String
  /// What it is about: a prefix, a link's name.
  package let subject: String
  /// The whole message: `nlmsghdr`, the family's own header, attributes.
  private var bytes: [UInt8] = []

  /// Begins a message; NLM_F_REQUEST is set always.
  package init(_ operation: String, _ subject: String, type: UInt16, flags: UInt16 = 0) {
    self.operation = operation
    self.subject = subject
    bytes.reserveCapacity(256)
    append(
      nlmsghdr(
        nlmsg_len: 0, nlmsg_type: type, nlmsg_flags: flags | NetlinkFlag.request, nlmsg_seq: 0, nlmsg_pid: 0))
  }

  /// Appends a kernel struct as it lies in memory.
  package mutating func append<Header: BitwiseCopyable>(_ header: Header) {
    unsafe withUnsafeBytes(of: header) { unsafe bytes.append(contentsOf: $0) }
    pad()
  }

  /// A fixed-size attribute, in the machine's byte order.
  package mutating func put<Value: BitwiseCopyable>(_ type: UInt16, _ value: Value) {
    begin(type, payloadSize: MemoryLayout<Value>.size)
    append(value)
  }

  /// A number in network order, as nf_tables has them.
  package mutating func put<Number: FixedWidthInteger & BitwiseCopyable>(_ type: UInt16, bigEndian value: Number) {
    put(type, value.bigEndian)
  }

  /// An attribute of plain bytes: an address, a MAC.
  package mutating func put(_ type: UInt16, bytes payload: some Collection<UInt8>) {
    begin(type, payloadSize: payload.count)
    bytes.append(contentsOf: payload)
    pad()
  }

  /// A NUL-terminated string.
  package mutating func put(_ type: UInt16, cString: String) {
    put(type, bytes: Array(cString.utf8) + [0])
  }

  /// Attributes within an attribute; its length is filled in when `body` has run.
  package mutating func nest(_ type: UInt16, _ body: (inout NetlinkRequest) -> Void) {
    let start = bytes.count
    begin(type | NetlinkFlag.nested, payloadSize: 0)
    body(&self)
    store(UInt16(clamping: bytes.count - start), at: start)
  }

  private mutating func begin(_ type: UInt16, payloadSize: Int) {
    append(nlattr(nla_len: UInt16(clamping: payloadSize + MemoryLayout<nlattr>.size), nla_type: type))
  }

  /// Messages and attributes begin at multiples of four (NLMSG_ALIGN, NLA_ALIGN).
  private mutating func pad() {
    while bytes.count % 4 != 0 { bytes.append(0) }
  }

  private mutating func store<Value: BitwiseCopyable>(_ value: Value, at offset: Int) {
    unsafe bytes.withUnsafeMutableBytes {
      unsafe $0.storeBytes(of: value, toByteOffset: offset, as: Value.self)
    }
  }

  /// The message as it goes out, its length, extra flags and sequence number in place.
  func sealed(sequence: UInt32, flags: UInt16) -> [UInt8] {
    var sealed = self
    let ownFlags = unsafe bytes.withUnsafeBytes { unsafe $0.load(fromByteOffset: 6, as: UInt16.self) }
    sealed.store(UInt32(clamping: bytes.count), at: 0)
    sealed.store(ownFlags | flags, at: 6)
    sealed.store(sequence, at: 8)
    return sealed.bytes
  }
}
