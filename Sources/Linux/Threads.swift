internal import Glibc

/// Runs `body` on a new thread and waits for it.
package func onOwnThread<Value: Sendable>(
  _ body: @escaping @Sendable () throws(SystemError) -> Value
) throws(SystemError) -> Value {
  let job = Job(body)
  pthread_join(try start(job), nil)
  guard let result = job.result else { throw SystemError("run", "a thread", errno: ESRCH) }
  return try result.get()
}

/// Runs `body` on a new thread and doesn't wait for it; the thread ends with `body` or with the process.
package func startThread(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
  pthread_detach(try start(Job { () throws(SystemError) in body() }))
}

private func start(_ job: AnyJob) throws(SystemError) -> pthread_t {
  var thread = pthread_t()
  let code = unsafe pthread_create(
    &thread, nil,
    { argument in
      unsafe Unmanaged<AnyJob>.fromOpaque(argument.unsafelyUnwrapped).takeRetainedValue().run()
      return nil
    }, Unmanaged<AnyJob>.passRetained(job).toOpaque())
  guard code == 0 else {
    unsafe Unmanaged<AnyJob>.passUnretained(job).release()
    throw SystemError("start", "a thread", errno: code)
  }
  return thread
}

/// What a new thread is handed; a class, since pthread_create passes one pointer.
private class AnyJob {
  func run() {}
}

private final class Job<Value: Sendable>: AnyJob {
  let body: @Sendable () throws(SystemError) -> Value
  /// Written by the thread, read after it was joined.
  var result: Result<Value, SystemError>?

  init(_ body: @escaping @Sendable () throws(SystemError) -> Value) {
    self.body = body
  }

  override func run() {
    do throws(SystemError) {
      result = .success(try body())
    } catch {
      result = .failure(error)
    }
  }
}
