import Glibc

/// Runs one of the targets under libFuzzer: `causeway-fuzz TARGET [libFuzzer's arguments]`. Without arguments it lists
/// the targets.
@main
enum Fuzz {
  nonisolated(unsafe) static var run: @Sendable ([UInt8]) -> Void = { _ in }

  static func main() {
    guard CommandLine.arguments.count > 1 else {
      for target in Targets.all { print(target.name) }
      return
    }
    guard let target = Targets.all.first(where: { $0.name == CommandLine.arguments[1] }) else {
      print("there is no target \(CommandLine.arguments[1])")
      exit(2)
    }
    unsafe run = target.run
    var count = CommandLine.argc - 1
    // libFuzzer expects the program's name in place of the target's.
    var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?> = unsafe CommandLine.unsafeArgv + 1
    unsafe arguments[0] = unsafe CommandLine.unsafeArgv[0]
    let status = unsafe runDriver(&count, &arguments, testOneInput)
    exit(status)
  }
}

/// The function that libFuzzer's own `main` calls; that `main` is linked but never used.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
  unsafe Fuzz.run(Array(UnsafeBufferPointer(start: bytes, count: count)))
  return 0
}

/// LLVMFuzzerRunDriver of compiler-rt/lib/fuzzer/FuzzerInterface.h.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<Int32>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32
