internal import Addresses
internal import CBPF
internal import CFastPath
internal import FastPath
internal import Glibc
internal import Linux
internal import Netfilter
internal import Netlink

/// Brings the programs into the kernel, through libbpf. Calls must not overlap.
struct ProgramLoader {
  let stateDirectory: String

  /// Makes sure that the programs that are pinned are this version's, and says how they know flows.
  ///
  /// Maps that are pinned are taken over, and programs give way to their successors at once: nothing that is carried
  /// waits.
  ///
  /// - Parameters:
  ///   - wanted: `nil` for the best that the kernel has.
  ///   - triesAgain: whether to look for a better one than was had the last time.
  func ensure(
    _ wanted: FlowKnowledge?, triesAgain: Bool = false
  ) throws(FastPathError) -> (knowledge: FlowKnowledge, reason: String?) {
    if let mark = mark(), mark.satisfies(wanted, triesAgain: triesAgain) { return (mark.knowledge, mark.reason) }
    try checkFileSystem()
    // Where it is a module, what programs may call is known when that is there.
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
        reason = "conntrack can't be asked: \(error)"
      }
    }
    throw FastPathError("there is no way to know flows")
  }

  /// Where pins are while others are tried in their place.
  static let aside = "\(PinnedFastPath.directory)-before"

  /// Removes what is pinned; what runs somewhere still does until it is detached. Says whether there was anything.
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

  // MARK: What is there

  /// What was loaded last, kept under the state directory: without it all is loaded anew.
  private struct Mark {
    var knowledge: FlowKnowledge
    /// Why it is not a better one.
    var reason: String?
    /// The kernel's number of `from_pod`.
    var program: UInt32
    var object: UInt64

    /// What was asked for by name, and is not the best, is no answer to who asks for the best.
    func satisfies(_ wanted: FlowKnowledge?, triesAgain: Bool) -> Bool {
      if let wanted { return knowledge == wanted }
      return knowledge == FlowKnowledge.allCases.first || (reason != nil && !triesAgain)
    }
  }

  private var markPath: String { "\(stateDirectory)/fast-path.mark" }

  /// `nil` where what is pinned is not what this version would load.
  private func mark() -> Mark? {
    guard let text = (try? Files.read(markPath, limit: 4096)) else { return nil }
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

  /// Nothing hangs on it.
  private func store(_ mark: Mark) {
    let text = "\(mark.knowledge.rawValue) \(mark.program) \(String(mark.object, radix: 16)) \(mark.reason ?? "-")\n"
    try? Files.makeDirectory(stateDirectory)
    try? Files.replace(markPath, with: Array(text.utf8))
  }

  func removeMark() throws(SystemError) { try Files.remove(markPath) }

  /// The kernel's number of the program by which all are known.
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
      // Maps of another version may be in the way. Only what they hold is lost, which comes again; and that only where
      // it helps.
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
    cfastpath_listen()
    let object = unsafe cfastpath_object(knowledge == .conntrack ? 1 : 0)
    let opened = unsafe PinnedFastPath.directory.withCString { directory in
      var options = unsafe bpf_object_open_opts()
      unsafe options.sz = MemoryLayout<bpf_object_open_opts>.size
      unsafe options.pin_root_path = directory
      return unsafe bpf_object__open_mem(object.bytes, Int(object.size), &options)
    }
    guard let opened = unsafe opened else { throw refusal("read the programs", errno) }
    defer { unsafe bpf_object__close(opened) }
    try unsafe setClock(of: opened)
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

  /// Tells the programs how fast the kernel's clock of ticks goes: it is the resolution of the coarse clocks
  /// (kernel/time/posix-timers.c, `posix_get_coarse_res`).
  private func setClock(of object: OpaquePointer) throws(FastPathError) {
    var map = unsafe bpf_object__next_map(object, nil)
    while let current = unsafe map {
      if unsafe String(cString: bpf_map__name(current)).hasSuffix(".rodata") {
        var resolution = timespec()
        unsafe clock_getres(CLOCK_MONOTONIC_COARSE, &resolution)
        var ticks = UInt32(clamping: 1_000_000_000 / max(1, resolution.tv_nsec))
        let result = unsafe bpf_map__set_initial_value(current, &ticks, MemoryLayout<UInt32>.size)
        guard result == 0 else { throw refusal("set the programs' clock", -result) }
      }
      unsafe map = unsafe bpf_object__next_map(object, current)
    }
  }

  private func refusal(_ operation: String, _ code: Int32) -> FastPathError {
    let warning = unsafe String(cString: cfastpath_warning())
    var text = "\(operation): \(SystemError.text(of: code))" + (warning.isEmpty ? "" : " (\(warning))")
    if [EPERM, EACCES].contains(code) {
      text += "; CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN are needed, and the right to call bpf(2)"
    }
    return FastPathError(text)
  }
}
