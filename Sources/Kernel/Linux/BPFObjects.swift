internal import CLinux
internal import Glibc

/// The kernel's file system for BPF objects.
package enum BPFFileSystem {
  /// Whether it is mounted there.
  package static func isMounted(at path: String) -> Bool {
    var found = statfs()
    // BPF_FS_MAGIC (linux/magic.h).
    return unsafe statfs(path, &found) == 0 && found.f_type == 0xCAFE_4A11
  }
}

/// A BPF program that is loaded in the kernel (bpf(2)).
package struct BPFProgram: ~Copyable, Sendable {
  package let descriptor: OwnedDescriptor

  /// The program that is pinned there, `nil` where there is none.
  package init?(pinned path: String) throws(SystemError) {
    guard let descriptor = try openPinned(path) else { return nil }
    self.descriptor = descriptor
  }

  /// The kernel's number of it: no other program that is loaded has the same.
  package func id() throws(SystemError) -> UInt32 {
    var info = bpf_prog_info()
    try unsafe withUnsafeMutablePointer(to: &info) { (info) throws(SystemError) in
      var argument = bpf_attr()
      unsafe argument.info.bpf_fd = UInt32(bitPattern: descriptor.number)
      unsafe argument.info.info_len = UInt32(MemoryLayout<bpf_prog_info>.size)
      unsafe argument.info.info = UInt64(UInt(bitPattern: info))
      _ = try bpf(BPF_OBJ_GET_INFO_BY_FD, &argument, "look at", "a BPF program")
    }
    return info.id
  }
}

/// A BPF map whose keys and values are so many bytes (bpf(2)).
package struct BPFMap: ~Copyable, Sendable {
  private let descriptor: OwnedDescriptor
  private let name: String
  private let keySize: Int
  private let valueSize: Int
  /// How many keys it has room for.
  private let capacity: Int

  /// The map that is pinned there, `nil` where there is none.
  ///
  /// - Parameters:
  ///   - keySize: of a key, in bytes.
  ///   - valueSize: of a value, in bytes, a multiple of 8 in a map with one for each processor.
  ///   - processors: how many values a key has in such a map, which come one behind the other.
  /// - Throws: EINVAL for one with other sizes: the kernel goes by the map's own, whatever the caller has room for.
  package init?(pinned path: String, keySize: Int, valueSize: Int, processors: Int = 1) throws(SystemError) {
    guard let descriptor = try openPinned(path) else { return nil }
    var info = bpf_map_info()
    try unsafe withUnsafeMutablePointer(to: &info) { (info) throws(SystemError) in
      var argument = bpf_attr()
      unsafe argument.info.bpf_fd = UInt32(bitPattern: descriptor.number)
      unsafe argument.info.info_len = UInt32(MemoryLayout<bpf_map_info>.size)
      unsafe argument.info.info = UInt64(UInt(bitPattern: info))
      _ = try bpf(BPF_OBJ_GET_INFO_BY_FD, &argument, "look at", path)
    }
    guard Int(info.key_size) == keySize, Int(info.value_size) == valueSize else {
      throw SystemError("find keys of \(keySize) and values of \(valueSize) bytes in", path, errno: EINVAL)
    }
    self.descriptor = descriptor
    name = path
    self.keySize = keySize
    self.valueSize = valueSize * processors
    capacity = Int(info.max_entries)
  }

  /// The value of a key, `nil` where it has none.
  package func value(of key: [UInt8]) throws(SystemError) -> [UInt8]? {
    var value = [UInt8](repeating: 0, count: valueSize)
    do throws(SystemError) {
      try call(BPF_MAP_LOOKUP_ELEM, key, &value, "look into")
    } catch {
      if error.errno == ENOENT { return nil }
      throw error
    }
    return value
  }

  /// Gives a key its value, whether or not it has one.
  package func set(_ key: [UInt8], to value: [UInt8]) throws(SystemError) {
    precondition(value.count == valueSize)
    var value = value
    try call(BPF_MAP_UPDATE_ELEM, key, &value, "write to")
  }

  /// Removes a key; absence is success.
  package func remove(_ key: [UInt8]) throws(SystemError) {
    var none: [UInt8] = []
    do throws(SystemError) {
      try call(BPF_MAP_DELETE_ELEM, key, &none, "remove from")
    } catch {
      guard error.errno == ENOENT else { throw error }
    }
  }

  /// All keys; some may come twice, and some be missing, where others change the map meanwhile.
  package func keys() throws(SystemError) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    var key: [UInt8] = []
    // Where the last one is gone the kernel begins again.
    while keys.count < 2 * capacity {
      var next = [UInt8](repeating: 0, count: keySize)
      do throws(SystemError) {
        try call(BPF_MAP_GET_NEXT_KEY, key, &next, "list")
      } catch {
        if error.errno == ENOENT { return keys }
        throw error
      }
      keys.append(next)
      key = next
    }
    return keys
  }

  /// - Parameter key: empty for none.
  private func call(
    _ command: bpf_cmd, _ key: [UInt8], _ value: inout [UInt8], _ operation: String
  ) throws(SystemError) {
    precondition(key.count == keySize || key.isEmpty)
    let result = unsafe key.withUnsafeBufferPointer { key in
      unsafe value.withUnsafeMutableBufferPointer { value -> Result<Void, SystemError> in
        var argument = bpf_attr()
        argument.map_fd = UInt32(bitPattern: descriptor.number)
        argument.key = UInt64(UInt(bitPattern: key.isEmpty ? nil : key.baseAddress))
        // What a command has no use for must be 0 (kernel/bpf/syscall.c, CHECK_ATTR), and no array is without an address.
        argument.value = UInt64(UInt(bitPattern: value.isEmpty ? nil : value.baseAddress))
        do throws(SystemError) {
          _ = try bpf(command, &argument, operation, name)
          return .success(())
        } catch {
          return .failure(error)
        }
      }
    }
    try result.get()
  }
}

private func openPinned(_ path: String) throws(SystemError) -> OwnedDescriptor? {
  // Where nothing is pinned bpf(2) is not called: a service manager may kill whoever does.
  guard unsafe access(path, F_OK) == 0 else { return nil }
  let result = unsafe path.withCString { path in
    var argument = bpf_attr()
    argument.pathname = UInt64(UInt(bitPattern: path))
    // A copy: whatever is done to it between the calls is the kernel's.
    return unsafe clinux_bpf(Int32(BPF_OBJ_GET.rawValue), &argument, UInt32(MemoryLayout<bpf_attr>.size))
  }
  let code = errno
  if result >= 0 { return OwnedDescriptor(owning: result) }
  if code == ENOENT { return nil }
  throw SystemError("open", path, errno: code)
}

private func bpf(
  _ command: bpf_cmd, _ argument: inout bpf_attr, _ operation: String, _ subject: String
) throws(SystemError) -> Int32 {
  try retryingOnInterrupt(operation, subject) {
    unsafe clinux_bpf(Int32(command.rawValue), &argument, UInt32(MemoryLayout<bpf_attr>.size))
  }
}
