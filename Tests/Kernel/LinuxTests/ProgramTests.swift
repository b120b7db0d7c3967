import Glibc
import Linux
import Testing
import TestSupport

@Suite struct ProgramTests {
  private func shell(
    _ script: String, environment: [String] = [], input: [UInt8] = [], limit: Duration = .seconds(20)
  ) throws -> Program.Outcome {
    try Program.run("/bin/sh", ["-c", script], environment: environment, input: input, limit: limit)
  }

  @Test func returnsStatusAndOutput() throws {
    let outcome = try shell("echo out; exit 7")
    #expect(outcome.status == 7)
    #expect(outcome.output == Array("out\n".utf8))
    #expect(try shell("kill -KILL $$").status == 128 + SIGKILL)
  }

  @Test func passesExactlyThisEnvironment() throws {
    let outcome = try Program.run(
      "/usr/bin/env", [], environment: ["A=1", "B=x y"], input: [], limit: .seconds(20))
    #expect(String(decoding: outcome.output, as: UTF8.self) == "A=1\nB=x y\n")
  }

  @Test func writesAndReadsAtTheSameTime() throws {
    let input = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0) }
    #expect(try shell("cat", input: input).output == input)
  }

  @Test func aProgramMayLeaveItsInputUnread() throws {
    let outcome = try shell("exec <&-; echo done", input: [UInt8](repeating: 0, count: 1_000_000))
    #expect(outcome.status == 0)
    #expect(outcome.output == Array("done\n".utf8))
  }

  @Test func killsAProgramAfterTheLimit() throws {
    let started = MonotonicTime.now
    #expect(throws: SystemError("wait for", "/bin/sh", errno: ETIMEDOUT)) {
      _ = try shell("exec sleep 60", limit: .milliseconds(100))
    }
    #expect(MonotonicTime.now - started < .seconds(30))
  }

  /// A program may run on after it closed its output: the limit includes that time.
  @Test func killsAProgramThatClosesItsOutputAndRunsOn() throws {
    let started = MonotonicTime.now
    #expect(throws: SystemError("wait for", "/bin/sh", errno: ETIMEDOUT)) {
      _ = try shell("exec >&-; exec sleep 60", limit: .milliseconds(100))
    }
    #expect(MonotonicTime.now - started < .seconds(30))
  }

  @Test func killsAProgramThatWritesTooMuch() throws {
    let error = #expect(throws: SystemError.self) { _ = try shell("exec cat /dev/zero") }
    #expect(error?.errno == EFBIG)
  }

  @Test func namesAProgramThatCannotBeRun() throws {
    #expect(throws: SystemError("run", "/none", errno: ENOENT)) {
      _ = try Program.run("/none", [], environment: [], input: [], limit: .seconds(1))
    }
    #expect(throws: SystemError("run", "/dev/null", errno: EACCES)) {
      _ = try Program.run("/dev/null", [], environment: [], input: [], limit: .seconds(1))
    }
  }

  @Test func leavesNoDescriptorOpen() async throws {
    await #expect(processExitsWith: .success) {
      func count() throws -> Int { try Files.names(in: "/proc/self/fd").count }
      _ = try Program.run("/bin/true", [], environment: [], input: [1], limit: .seconds(20))
      let before = try count()
      for _ in 0..<20 {
        _ = try Program.run("/bin/true", [], environment: [], input: [1], limit: .seconds(20))
        _ = try? Program.run("/none", [], environment: [], input: [], limit: .seconds(20))
      }
      // The test runner's own threads sometimes open a descriptor; a leak would be forty or more.
      #expect(try count() < before + 20)
    }
  }

  /// A pipe's end that leaks into another child keeps the pipe open, so that its reader waits for that child.
  @Test func programsAtTheSameTimeDoNotWaitForEachOther() async throws {
    try await withThrowingTaskGroup { group in
      for round in 0..<40 {
        group.addTask { try shell("exec \(round % 2 == 0 ? "true" : "sleep 0.05")", limit: .seconds(20)) }
      }
      for try await outcome in group { #expect(outcome.status == 0) }
    }
  }

  /// SIGPIPE may be ignored here, but a program expects its default action.
  @Test func programsGetSIGPIPE() throws {
    #expect(try shell("grep ^SigIgn: /proc/self/status").output.suffix(6).first == UInt8(ascii: "0"))
  }

  /// The threads that run tests block most signals; a program that waits for SIGALRM must get it. No shell is
  /// used, because a shell unblocks all signals when it starts.
  @Test func programsGetTheirSignals() async throws {
    try await withThrowingTaskGroup { group in
      for _ in 0..<8 {
        group.addTask {
          try Program.run(
            "/bin/grep", ["^SigBlk:", "/proc/self/status"], environment: [], input: [], limit: .seconds(20))
        }
      }
      for try await outcome in group { #expect(outcome.output == Array("SigBlk:\t0000000000000000\n".utf8)) }
    }
  }
}
