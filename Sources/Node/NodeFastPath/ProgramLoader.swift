internal import Addresses
internal import CBPF
internal import CFastPath
internal import FastPath
internal import Glibc
internal import Linux
internal import Netfilter
internal import Netlink

/// Loads the fast path's programs into the kernel with libbpf. Calls must not overlap.
struct ProgramLoader {
  /// Directory of the file that says which programs were loaded last.
  let stateDirectory: String

  /// Loads and pins this version's programs unless they are pinned already.
  ///
  /// The new programs use the pinned maps, and each replaces its predecessor at once: no carried flow is interrupted.
  ///
  /// - Parameters:
  ///   - wanted: how the programs should know flows; `nil` for the best that the kernel supports.
  ///   - triesAgain: whether to try better ones again that failed the last time.
  /// - Returns: how the programs know flows, and why not in a better way.
  func ensure(
    _ wanted: FlowKnowledge?, triesAgain: Bool = false
  ) throws(FastPathError) -> (knowledge: FlowKnowledge, reason: String?) {
    if let mark = mark(), mark.satisfies(wanted, triesAgain: triesAgain) { return (mark.knowledge, mark.reason) }
    try checkFileSystem()
    // Loads conntrack if it is a module: the kernel functions that programs call are in it.
    do throws(NetlinkError) {
      var netfilter = try NetfilterSocket()
      _ = try netfilter.conntrackCount()
    } catch {}
    let choices = wanted.map { [$0] } ?? FlowKnowledge.allCases
    var reason: String?
    for knowledge in choices {
      do throws(FastPathError) {
        try load(knowledge)
        store(
          Mark(
            knowledge: knowledge, reason: reason, program: try currentProgram(), object: ProgramLoader.hash(knowledge)))
        return (knowledge, reason)
      } catch {
        if knowledge == choices.last { throw error }
        reason = "the programs cannot ask conntrack: \(error)"
      }
    }
    throw FastPathError("the programs have no way to know flows")
  }

  /// Directory of the old pins while new ones are tried in their place.
  static let aside = "\(PinnedFastPath.directory)-before"

  /// Removes the pins in a directory. Attached programs run on until they are detached.
  ///
  /// - Returns: whether there was a pin.
  @discardableResult
  static func unpin(_ directory: String = PinnedFastPath.directory) throws(SystemError) -> Bool {
    let names = try Files.names(in: directory)
    var failure: SystemError?
    for name in names {
      do throws(SystemError) { try Files.remove("\(directory)/\(name)") } catch { failure = failure ?? error }
    }
    _ = unsafe rmdir(directory)
    if let failure { throw failure }
    return !names.isEmpty
  }

  // MARK: What was loaded last

  /// Programs that were loaded last, kept in the state directory. Without it they are loaded again.
  private struct Mark {
    var knowledge: FlowKnowledge
    /// Reason why flows are not known in a better way.
    var reason: String?
    /// The kernel's ID of the program `from_pod`.
    var program: UInt32
    /// Hash of the object file.
    var object: UInt64

    /// Whether the loaded programs may stay. If the best is wanted, a lesser way counts only if the best was tried.
    func satisfies(_ wanted: FlowKnowledge?, triesAgain: Bool) -> Bool {
      if let wanted { return knowledge == wanted }
      return knowledge == FlowKnowledge.allCases.first || (reason != nil && !triesAgain)
    }
  }

  private var markPath: String { "\(stateDirectory)/fast-path.mark" }

  /// Reads the mark; `nil` if the pinned programs are not those that this version would load.
  private func mark() -> Mark? {
    guard let text = try? Files.read(markPath, limit: 4096) else { return nil }
    let words = String(decoding: text, as: UTF8.self).split(separator: " ", maxSplits: 3).map { String($0) }
    guard words.count == 4, let knowledge = FlowKnowledge(rawValue: words[0]), let program = UInt32(words[1]),
      UInt64(words[2], radix: 16) == ProgramLoader.hash(knowledge), (try? currentProgram()) == program,
      PinnedFastPath.isWhole()
    else { return nil }
    let reason = words[3].hasSuffix("\n") ? String(words[3].dropLast()) : words[3]
    return Mark(
      knowledge: knowledge, reason: reason == "-" ? nil : reason, program: program,
      object: ProgramLoader.hash(knowledge))
  }

  /// Writes the mark. Failures are harmless: the programs are loaded again the next time.
  private func store(_ mark: Mark) {
    let text = "\(mark.knowledge.rawValue) \(mark.program) \(String(mark.object, radix: 16)) \(mark.reason ?? "-")\n"
    try? Files.makeDirectory(stateDirectory)
    try? Files.replace(markPath, with: Array(text.utf8))
  }

  func removeMark() throws(SystemError) { try Files.remove(markPath) }

  /// The kernel's ID of the pinned program `from_pod`, by which a set of programs is known.
  func currentProgram() throws(FastPathError) -> UInt32 {
    do throws(SystemError) {
      guard let program = try BPFProgram(pinned: PinnedFastPath.path(FastPathProgram.fromPod.rawValue)) else {
        throw SystemError("open", PinnedFastPath.path(FastPathProgram.fromPod.rawValue), errno: ENOENT)
      }
      return try program.id()
    } catch {
      throw FastPathError("\(error)")
    }
  }

  private static let hashes = FlowKnowledge.allCases.map { knowledge in
    let object = unsafe cfastpath_object(knowledge == .conntrack ? 1 : 0)
    return unsafe stableHash(UnsafeRawBufferPointer(start: object.bytes, count: Int(object.size)))
  }

  private static func hash(_ knowledge: FlowKnowledge) -> UInt64 { hashes[knowledge == .conntrack ? 0 : 1] }

  private func checkFileSystem() throws(FastPathError) {
    let path = PinnedFastPath.fileSystem
    guard BPFFileSystem.isMounted(at: path) else {
      throw FastPathError("there is no BPF file system at \(path): mount -t bpf bpf \(path)")
    }
  }

  // MARK: Loading

  private func load(_ knowledge: FlowKnowledge) throws(FastPathError) {
    do throws(FastPathError) {
      try loadOnce(knowledge)
    } catch {
      // Pinned maps of another version may not fit. Without them only their content is lost, which is filled in again.
      // They come back if the programs cannot be loaded without them either.
      let (directory, aside) = (PinnedFastPath.directory, ProgramLoader.aside)
      _ = try? ProgramLoader.unpin(aside)
      guard unsafe rename(directory, aside) == 0 else { throw error }
      do throws(FastPathError) {
        try loadOnce(knowledge)
        _ = try? ProgramLoader.unpin(aside)
      } catch {
        _ = try? ProgramLoader.unpin()
        unsafe rename(aside, directory)
        throw error
      }
    }
  }

  private func loadOnce(_ knowledge: FlowKnowledge) throws(FastPathError) {
    cfastpath_collect_warnings()
    let object = unsafe cfastpath_object(knowledge == .conntrack ? 1 : 0)
    let opened = unsafe PinnedFastPath.directory.withCString { directory in
      var options = unsafe bpf_object_open_opts()
      unsafe options.sz = MemoryLayout<bpf_object_open_opts>.size
      unsafe options.pin_root_path = directory
      return unsafe bpf_object__open_mem(object.bytes, Int(object.size), &options)
    }
    guard let opened = unsafe opened else { throw refusal("read the programs", errno) }
    defer { unsafe bpf_object__close(opened) }
    try unsafe setTicksPerSecond(of: opened)
    let result = unsafe bpf_object__load(opened)
    guard result == 0 else { throw refusal("load the programs", -result) }
    for program in FastPathProgram.allCases {
      let path = PinnedFastPath.path(program.rawValue)
      let scratch = "\(path)-new"
      do throws(SystemError) { try Files.remove(scratch) } catch { throw FastPathError("\(error)") }
      guard let loaded = unsafe bpf_object__find_program_by_name(opened, program.rawValue) else {
        throw refusal("find \(program.rawValue)", ENOENT)
      }
      let result = unsafe bpf_program__pin(loaded, scratch)
      guard result == 0 else { throw refusal("pin \(path)", -result) }
      guard unsafe rename(scratch, path) == 0 else { throw refusal("pin \(path)", errno) }
    }
  }

  /// Sets the programs' constant `ticks_per_second` (CONFIG_HZ): a tick is the resolution of the coarse clocks
  /// (kernel/time/posix-timers.c, `posix_get_coarse_res`).
  private func setTicksPerSecond(of object: OpaquePointer) throws(FastPathError) {
    let nanosecondsPerSecond = 1_000_000_000
    var map = unsafe bpf_object__next_map(object, nil)
    while let current = unsafe map {
      if unsafe String(cString: bpf_map__name(current)).hasSuffix(".rodata") {
        var resolution = timespec()
        unsafe clock_getres(CLOCK_MONOTONIC_COARSE, &resolution)
        var ticks = UInt32(clamping: nanosecondsPerSecond / max(1, resolution.tv_nsec))
        let result = unsafe bpf_map__set_initial_value(current, &ticks, MemoryLayout<UInt32>.size)
        guard result == 0 else { throw refusal("set ticks_per_second of the programs", -result) }
      }
      unsafe map = unsafe bpf_object__next_map(object, current)
    }
  }

  /// An error with libbpf's first warning, and with the rights that are needed if one is missing.
  private func refusal(_ operation: String, _ code: Int32) -> FastPathError {
    let warning = unsafe String(cString: cfastpath_warning())
    var text = "\(operation): \(SystemError.text(of: code))" + (warning.isEmpty ? "" : " (\(warning))")
    if [EPERM, EACCES].contains(code) {
      text += "; CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are needed, and the right to call bpf(2)"
    }
    return FastPathError(text)
  }
}
