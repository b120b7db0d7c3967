internal import Glibc

/// Runs `body` on a new thread and doesn't wait for it; the thread ends with `body` or with the process.
package func startThread(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
  let job = Job(body)
  var thread = pthread_t()
  let code = unsafe pthread_create(
    &thread, nil,
    { argument in
      unsafe Unmanaged<Job>.fromOpaque(argument.unsafelyUnwrapped).takeRetainedValue().body()
      return nil
    }, Unmanaged.passRetained(job).toOpaque())
  guard code == 0 else {
    unsafe Unmanaged<Job>.passUnretained(job).release()
    throw SystemError("start", "a thread", errno: code)
  }
  pthread_detach(thread)
}

/// What a new thread is handed; a class, since pthread_create passes one pointer.
private final class Job {
  let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) {
    self.body = body
  }
}
