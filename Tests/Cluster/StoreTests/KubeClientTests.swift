import JSON
@testable import KubernetesStore
import Logging
import Synchronization
import Testing
import TestSupport

/// A server that gives scripted answers, one to each request, then only status 503. Prints what it is asked for.
private final class ScriptedServer: Sendable {
  private let program: RunningProgram
  let client: KubeClient

  init(_ answers: [(Int64, String)]) throws {
    let answers = try JSONValue.array(answers.map { [.integer($0.0), .string($0.1)] }).text()
    let program = try RunningProgram([
      "/usr/bin/env", "python3", "\(Binaries.packageRoot)/Tests/Cluster/StoreTests/scripted_server.py", answers,
    ])
    self.program = program
    try #require(eventually { program.output.hasPrefix("port ") && program.output.contains("\n") }, "\(program.output)")
    let port = program.output.split(separator: "\n")[0].dropFirst("port ".count)
    client = KubeClient(
      KubeAccessSource(kubeconfig: nil, server: "http://127.0.0.1:\(port)", serviceAccount: "/nonexistent"))
  }

  deinit { program.stop() }

  /// Requests so far: method, path with query, body.
  var requests: [String] { program.output.split(separator: "\n").dropFirst().map(String.init) }
}

private func pod(_ name: String, _ version: Int) -> String {
  #"{"metadata":{"name":"\#(name)","namespace":"a","resourceVersion":"\#(version)"},"spec":{"containers":[{}]}}"#
}

private func list(_ version: Int, continue token: String = "", _ pods: String...) -> String {
  #"{"kind":"PodList","metadata":{"resourceVersion":"\#(version)","continue":"\#(token)"},"items":[\#(pods.joined(separator: ","))]}"#
}

private struct Pod: KubeObject {
  let key: String
}

private let pods = KubeResource(
  group: "/api/v1", name: "pods", kind: "Pod", metadata: [], members: [:],
  read: { object in (object["metadata"]?.object?["name"]?.string).map { Pod(key: "a/\($0)") } })

/// The generic client over HTTP, with a kind that the program does not use.
@Suite(.timeLimit(.minutes(1))) struct KubeClientTests {
  @Test func followerListsPagesWatchesAndResumes() async throws {
    let gone = #"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}"#
    let bookmark = #"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"30"}}}"#
    let server = try ScriptedServer([
      (200, list(10, continue: "p/2", pod("x", 1))), (200, list(10, pod("y", 2))),
      (200, #"{"type":"ADDED","object":\#(pod("z", 11))}"# + "\n" + gone + "\n"),
      (200, list(20, pod("y", 2))), (200, bookmark + "\n"), (200, bookmark + "\n"),
    ])
    let state = Mutex<KubeObjects<Pod>?>(nil)
    let known = Mutex<[String]>([])
    let follower = KubeFollower(
      client: server.client, resource: pods, logger: Logger(label: "test"),
      resourceVersion: { state.withLock { $0?.resourceVersion ?? "" } },
      onUpdate: { update in
        state.withLock { state in
          switch update {
          case .list(let objects): state = objects
          case .change(let event, _): _ = state?.apply(event)
          case .watching: break
          case .failure(let error):
            known.withLock { $0.append("\(error)") }
            return
          }
          let keys = state?.objects.keys.sorted().joined(separator: " ") ?? ""
          known.withLock { $0.append("\(keys) @\(state?.resourceVersion ?? "")") }
        }
      })
    let task = Task { await follower.run() }
    while known.withLock({ $0.last?.contains("503") }) != true { try await Task.sleep(for: .milliseconds(20)) }
    task.cancel()
    await task.value
    #expect(
      known.withLock { $0.dropLast() } == [
        "a/x a/y @10", "a/x a/y @10", "a/x a/y a/z @11",  // a list of two pages, a watch, an event
        "a/y @20", "a/y @20", "a/y @30",  // 410: a new list, a watch, a bookmark
        "a/y @30", "a/y @30",  // the next watch, from the bookmark
      ])
    let watch = "GET /api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion="
    let expected = [
      "GET /api/v1/pods?limit=500", "GET /api/v1/pods?limit=500&continue=p%2F2", "\(watch)10&timeoutSeconds=",
      "GET /api/v1/pods?limit=500", "\(watch)20&timeoutSeconds=", "\(watch)30&timeoutSeconds=",
      "\(watch)30&timeoutSeconds=",
    ]
    let requests = server.requests
    #expect(requests.count >= expected.count)
    for (request, start) in zip(requests, expected) { #expect(request.hasPrefix(start), "\(request)") }
  }

  @Test func objectsAreCreatedAndPatched() async throws {
    let server = try ScriptedServer([
      (201, pod("x", 1)), (200, pod("x", 2)),
      (403, #"{"kind":"Status","code":403,"message":"forbidden"}"#),
    ])
    try await server.client.create(["kind": "Pod"], in: pods, namespace: "a")
    try await server.client.patch(pods, "a/x", with: ["status": ["phase": "Running"]])
    let error = try await #require(throws: KubeError.self) { try await server.client.create([:], in: pods) }
    #expect("\(error)".hasSuffix("forbidden; its role must allow the verb create on the resource pods"), "\(error)")
    #expect(
      server.requests == [
        #"POST /api/v1/namespaces/a/pods {"kind":"Pod"}"#,
        #"PATCH /api/v1/namespaces/a/pods/x {"status":{"phase":"Running"}}"#, "POST /api/v1/pods {}",
      ])
  }
}
