internal import Glibc

/// Runs `body` on a new detached thread, which ends with `body` or with the process (pthread_create(3)).
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

/// The argument of a new thread; a class, because pthread_create(3) passes one pointer.
private final class Job {
  let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) {
    self.body = body
  }
}
