import Foundation
import JSON
import Linux
import TestSupport

/// Pod sandboxes over CRI (`runtime.v1.RuntimeService`), as a kubelet asks for them. curl sends the gRPC calls: HTTP/2
/// with five bytes before each message and the status in a trailer.
extension Containerd {
  /// A pod to run.
  struct Pod {
    let name: String
    /// A port of the node that is mapped to the pod's port 80.
    var hostPort: Int?
    var annotations: [String: String] = [:]
  }

  /// A call that failed.
  struct CallFailed: Error, CustomStringConvertible {
    let method: String
    let message: String
    var description: String { "\(method): \(message)" }
  }

  /// A sandbox as containerd reports it.
  struct Sandbox {
    let id: String
    let name: String
    let isReady: Bool
    /// The pod's addresses, beginning with the primary one.
    var addresses: [String] = []
    /// The name of its network namespace for `ip netns`.
    var namespace = ""
    /// The ID of its process in the test's process namespace.
    var processID = 0
  }

  /// Runs pods, all at the same time.
  func run(_ pods: [Pod]) throws -> [Sandbox] {
    let replies = try call("RunPodSandbox", pods.map(request))
    return try replies.map { try sandbox(id: $0.text(1)) }
  }

  func run(_ pod: Pod) throws -> Sandbox { try run([pod])[0] }

  /// Starts a call that runs a pod, and does not wait for its end.
  func begin(_ pod: Pod) throws -> RunningProgram {
    let calls = try write([request(pod)])
    return try node.start(["/bin/bash", "-c", Containerd.script, "RunPodSandbox", calls])
  }

  func stop(_ sandboxes: [Sandbox]) throws { _ = try call("StopPodSandbox", sandboxes.map(request)) }
  func remove(_ sandboxes: [Sandbox]) throws { _ = try call("RemovePodSandbox", sandboxes.map(request)) }

  func sandboxes() throws -> [Sandbox] {
    try call("ListPodSandbox", [ProtocolBuffer()])[0].messages(1).map { item in
      Sandbox(id: item.text(1), name: item.messages(2).first?.text(1) ?? "", isReady: item.number(3) == 0)
    }
  }

  func sandbox(id: String) throws -> Sandbox {
    var request = ProtocolBuffer()
    request.put(1, id)
    // Verbose, because only then the answer has the namespace.
    request.put(2, 1)
    let reply = try call("PodSandboxStatus", [request])[0]
    let status = reply.messages(1).first ?? ProtocolBuffer()
    let network = status.messages(5).first ?? ProtocolBuffer()
    let info = try reply.messages(2).first { $0.text(1) == "info" }.map {
      try JSONValue(parsing: Array($0.text(2).utf8))
    }
    let namespaces = info?.object?["runtimeSpec"]?.object?["linux"]?.object?["namespaces"]?.array ?? []
    let path = namespaces.compactMap(\.object).first { $0["type"]?.string == "network" }?["path"]?.string ?? ""
    var sandbox = Sandbox(
      id: id, name: status.messages(2).first?.text(1) ?? "", isReady: status.number(3) == 0)
    sandbox.addresses = ([network] + network.messages(2)).map { $0.text(1) }.filter { !$0.isEmpty }
    sandbox.namespace = path.split(separator: "/").last.map { String($0) } ?? ""
    if case .integer(let number)? = info?.object?["pid"] { sandbox.processID = Int(number) }
    return sandbox
  }

  /// Whether containerd reports the condition NetworkReady.
  func isNetworkReady() throws -> Bool {
    let conditions = try call("Status", [ProtocolBuffer()])[0].messages(1).first?.messages(1) ?? []
    return conditions.contains { $0.text(1) == "NetworkReady" && $0.number(2) == 1 }
  }

  // MARK: Messages

  private func request(_ pod: Pod) -> ProtocolBuffer {
    var metadata = ProtocolBuffer()
    metadata.put(1, pod.name)
    metadata.put(2, "uid-\(pod.name)")
    metadata.put(3, "default")
    var configuration = ProtocolBuffer()
    configuration.put(1, metadata)
    configuration.put(2, pod.name)
    if let hostPort = pod.hostPort {
      var mapping = ProtocolBuffer()
      mapping.put(2, 80)
      mapping.put(3, hostPort)
      configuration.put(5, mapping)
    }
    for annotation in pod.annotations {
      var entry = ProtocolBuffer()
      entry.put(1, annotation.key)
      entry.put(2, annotation.value)
      configuration.put(7, entry)
    }
    var linux = ProtocolBuffer()
    linux.put(1, group.path)
    configuration.put(8, linux)
    var request = ProtocolBuffer()
    request.put(1, configuration)
    return request
  }

  private func request(_ sandbox: Sandbox) -> ProtocolBuffer {
    var request = ProtocolBuffer()
    request.put(1, sandbox.id)
    return request
  }

  // MARK: Calls

  private static let script = """
    cd "$1"
    for request in *.request; do
      curl --silent --show-error --http2-prior-knowledge --unix-socket \(socket) \
        --header 'content-type: application/grpc' --header 'te: trailers' \
        --data-binary @"$request" --dump-header "${request%.request}.headers" --output "${request%.request}.reply" \
        "http://containerd/runtime.v1.RuntimeService/$0" &
    done
    wait
    """

  /// Writes requests into a directory of their own, and returns its path.
  private func write(_ requests: [ProtocolBuffer]) throws -> String {
    let directory = "/run/cri/\(UUID().uuidString)"
    try Files.makeDirectory(node.path("/run/cri"))
    try Files.makeDirectory(node.path(directory))
    for (index, request) in requests.enumerated() {
      let length = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: request.bytes.count >> $0) }
      try Files.write(node.path("\(directory)/\(index).request"), [0] + length + request.bytes)
    }
    return directory
  }

  /// Makes calls of one method at the same time. Throws the error of the first call that failed.
  private func call(_ method: String, _ requests: [ProtocolBuffer]) throws -> [ProtocolBuffer] {
    let directory = try write(requests)
    let process = try node.run(["/bin/bash", "-c", Containerd.script, method, directory])
    return try requests.indices.map { index in
      let headers = try read("\(directory)/\(index).headers").split(separator: 0x0A).map {
        String(decoding: $0, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
      }
      func header(_ name: String) -> String {
        headers.first { $0.hasPrefix("\(name): ") }.map { String($0.dropFirst(name.count + 2)) } ?? ""
      }
      guard header("grpc-status") == "0" else {
        let message = header("grpc-message")
        throw CallFailed(method: method, message: (message.removingPercentEncoding ?? message) + process.errors)
      }
      return ProtocolBuffer(Array(try read("\(directory)/\(index).reply").dropFirst(5)))
    }
  }

  private func read(_ path: String) throws -> [UInt8] { try Files.read(node.path(path), limit: 1 << 20) ?? [] }
}
