internal import CLinux
internal import Glibc

/// The kernel's file system for pinned BPF objects (bpffs).
package enum BPFFileSystem {
  /// Whether a BPF file system is mounted at `path`.
  package static func isMounted(at path: String) -> Bool {
    var found = statfs()
    return unsafe statfs(path, &found) == 0 && found.f_type == Int(BPF_FS_MAGIC)
  }
}

/// A BPF program that is loaded in the kernel (bpf(2)).
package struct BPFProgram: ~Copyable, Sendable {
  /// The descriptor that keeps the program loaded.
  package let descriptor: OwnedDescriptor

  /// Opens the program pinned at `path`; `nil` if nothing is pinned there.
  package init?(pinned path: String) throws(SystemError) {
    guard let descriptor = try openPinned(path) else { return nil }
    self.descriptor = descriptor
  }

  /// The program's ID, unique among loaded programs (`bpf_prog_info.id`).
  package func id() throws(SystemError) -> UInt32 {
    var info = bpf_prog_info()
    try unsafe withUnsafeMutablePointer(to: &info) { (info) throws(SystemError) in
      var argument = bpf_attr()
      unsafe argument.info.bpf_fd = UInt32(bitPattern: descriptor.number)
      unsafe argument.info.info_len = UInt32(MemoryLayout<bpf_prog_info>.size)
      unsafe argument.info.info = UInt64(UInt(bitPattern: info))
      _ = try bpf(BPF_OBJ_GET_INFO_BY_FD, &argument, operation: "read the information of", subject: "a BPF program")
    }
    return info.id
  }
}

/// A pinned BPF map with keys and values of fixed sizes (bpf(2)).
package struct BPFMap: ~Copyable, Sendable {
  private let descriptor: OwnedDescriptor
  private let name: String
  private let keySize: Int
  private let valueSize: Int
  /// The most keys that the map can hold (`max_entries`).
  private let capacity: Int

  /// Opens the map pinned at `path`; `nil` if nothing is pinned there.
  ///
  /// - Parameters:
  ///   - keySize: the size of a key in bytes.
  ///   - valueSize: the size of a value in bytes; a multiple of 8 in a per-CPU map.
  ///   - processors: how many values a key has: 1, or the number of possible CPUs for a per-CPU map. Values follow each
  ///     other without a gap.
  /// - Throws: EINVAL if the map has other sizes. The kernel copies as much as the map's own sizes say, whatever room
  ///   the caller has.
  package init?(pinned path: String, keySize: Int, valueSize: Int, processors: Int = 1) throws(SystemError) {
    guard let descriptor = try openPinned(path) else { return nil }
    var info = bpf_map_info()
    try unsafe withUnsafeMutablePointer(to: &info) { (info) throws(SystemError) in
      var argument = bpf_attr()
      unsafe argument.info.bpf_fd = UInt32(bitPattern: descriptor.number)
      unsafe argument.info.info_len = UInt32(MemoryLayout<bpf_map_info>.size)
      unsafe argument.info.info = UInt64(UInt(bitPattern: info))
      _ = try bpf(BPF_OBJ_GET_INFO_BY_FD, &argument, operation: "read the information of", subject: path)
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

  /// Reads the value of a key; `nil` if the map has no such key.
  package func value(of key: [UInt8]) throws(SystemError) -> [UInt8]? {
    var value = [UInt8](repeating: 0, count: valueSize)
    do throws(SystemError) {
      try call(BPF_MAP_LOOKUP_ELEM, key, value: &value, operation: "read from")
    } catch {
      if error.errno == ENOENT { return nil }
      throw error
    }
    return value
  }

  /// Sets the value of a key, which may be new or present.
  package func set(_ key: [UInt8], to value: [UInt8]) throws(SystemError) {
    precondition(value.count == valueSize)
    var value = value
    try call(BPF_MAP_UPDATE_ELEM, key, value: &value, operation: "write to")
  }

  /// Removes a key; absence is success.
  package func remove(_ key: [UInt8]) throws(SystemError) {
    var none: [UInt8] = []
    do throws(SystemError) {
      try call(BPF_MAP_DELETE_ELEM, key, value: &none, operation: "remove from")
    } catch {
      guard error.errno == ENOENT else { throw error }
    }
  }

  /// All keys of the map. If other processes change the map meanwhile, keys may be listed twice or be missing.
  package func keys() throws(SystemError) -> [[UInt8]] {
    var keys: [[UInt8]] = []
    var key: [UInt8] = []
    // If the last key was removed meanwhile, the kernel begins again with the first one.
    while keys.count < 2 * capacity {
      var next = [UInt8](repeating: 0, count: keySize)
      do throws(SystemError) {
        try call(BPF_MAP_GET_NEXT_KEY, key, value: &next, operation: "list")
      } catch {
        if error.errno == ENOENT { return keys }
        throw error
      }
      keys.append(next)
      key = next
    }
    return keys
  }

  /// Calls bpf(2) on this map.
  ///
  /// - Parameter key: the key, or empty to pass none.
  private func call(
    _ command: bpf_cmd, _ key: [UInt8], value: inout [UInt8], operation: String
  ) throws(SystemError) {
    precondition(key.count == keySize || key.isEmpty)
    let result = unsafe key.withUnsafeBufferPointer { key in
      unsafe value.withUnsafeMutableBufferPointer { value -> Result<Void, SystemError> in
        var argument = bpf_attr()
        argument.map_fd = UInt32(bitPattern: descriptor.number)
        argument.key = UInt64(UInt(bitPattern: key.isEmpty ? nil : key.baseAddress))
        // Unused fields must be 0 (kernel/bpf/syscall.c, CHECK_ATTR), but an empty array has an address.
        argument.value = UInt64(UInt(bitPattern: value.isEmpty ? nil : value.baseAddress))
        do throws(SystemError) {
          _ = try bpf(command, &argument, operation: operation, subject: name)
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
  // bpf(2) is not called if nothing is pinned: a service manager may kill a process that calls it.
  guard unsafe access(path, F_OK) == 0 else { return nil }
  let result = unsafe path.withCString { path in
    var argument = bpf_attr()
    argument.pathname = UInt64(UInt(bitPattern: path))
    return unsafe clinux_bpf(Int32(BPF_OBJ_GET.rawValue), &argument, UInt32(MemoryLayout<bpf_attr>.size))
  }
  let code = errno
  if result >= 0 { return OwnedDescriptor(owning: result) }
  if code == ENOENT { return nil }
  throw SystemError("open", path, errno: code)
}

private func bpf(
  _ command: bpf_cmd, _ argument: inout bpf_attr, operation: String, subject: String
) throws(SystemError) -> Int32 {
  try retryingOnInterrupt(operation, subject) {
    unsafe clinux_bpf(Int32(command.rawValue), &argument, UInt32(MemoryLayout<bpf_attr>.size))
  }
}
