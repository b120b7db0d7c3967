import JSON
@testable import KubernetesStore
@testable import StoreTransport
import Testing

/// A pod as a caller of the generic client might read it.
private struct Pod: KubeObject {
  let key: String
  let labels: [String: String]

  init?(_ object: JSONObject) {
    guard let metadata = object["metadata"]?.object, let name = metadata["name"]?.string,
      let namespace = metadata["namespace"]?.string
    else { return nil }
    key = "\(namespace)/\(name)"
    let members = metadata["labels"]?.object?.members ?? []
    labels = Dictionary(uniqueKeysWithValues: members.map { ($0.name, $0.value.string ?? "") })
  }
}

private let pods = KubeResource(
  group: "/api/v1", name: "pods", kind: "Pod", metadata: ["labels"], members: ["status": .members(["podIP": .all])],
  read: { Pod($0) })

private let policies = KubeResource(
  group: "/apis/networking.k8s.io/v1", name: "networkpolicies", kind: "NetworkPolicy", metadata: [], members: [:],
  read: { Pod($0) })

/// The generic client reads any kind; these tests use kinds that the program does not read.
@Suite struct KubeResourceTests {
  private func text(_ namespace: String, _ name: String, _ version: Int, app: String = "web") -> String {
    #"{"metadata":{"uid":"u","name":"\#(name)","namespace":"\#(namespace)","resourceVersion":"\#(version)","#
      + #""labels":{"app":"\#(app)"},"managedFields":[{}]},"spec":{"containers":[{}]},"status":{"podIP":"10.1.0.2"}}"#
  }

  private func pieces(_ shape: JSONSieve.Shape, _ text: String) throws -> [JSONSieve.Piece] {
    var sieve = JSONSieve(shape)
    let pieces = try sieve.add(Array(text.utf8))
    #expect(sieve.isBetweenTexts)
    return pieces
  }

  private func event(_ text: String) throws -> KubeEvent<Pod>? {
    try pods.event(try #require(try pieces(pods.eventShape, text).first).text)
  }

  @Test func pageHasItsObjectsAndTheContinueToken() throws {
    let pieces = try pieces(
      pods.listShape,
      #"{"kind":"PodList","metadata":{"resourceVersion":"9","continue":"next"},"items":[\#(text("a", "x", 1)),{}]}"#)
    var page = KubePage<Pod>()
    for piece in pieces where piece.isElement {
      if let pod = try pods.object(piece.text) { page.objects.append(pod) }
      #expect(!String(decoding: piece.text, as: UTF8.self).contains("managedFields"))
    }
    let whole = try #require(pieces.last)
    #expect(try pods.finish(&page, whole.text))
    #expect(page.objects.map(\.key) == ["a/x"] && page.objects.first?.labels == ["app": "web"])
    #expect(page.resourceVersion == "9" && page.continuation == "next")
    #expect(try !pods.finish(&page, Array(#"{"kind":"NodeList","metadata":{"resourceVersion":"9"}}"#.utf8)))
  }

  @Test func watchEventsChangeTheListedObjects() throws {
    let listed = try #require(try pods.object(Array(text("a", "x", 1).utf8)))
    var state = KubeObjects([listed], resourceVersion: "5")
    func apply(_ text: String) throws -> Bool { state.apply(try #require(try event(text))) }
    // Only a field that is kept counts as a change; one name in two namespaces means two pods.
    #expect(try !apply(#"{"type":"MODIFIED","object":\#(text("a", "x", 6))}"#))
    #expect(try apply(#"{"type":"MODIFIED","object":\#(text("a", "x", 7, app: "db"))}"#))
    #expect(try apply(#"{"type":"ADDED","object":\#(text("b", "x", 8))}"#))
    #expect(state.objects.keys.sorted() == ["a/x", "b/x"] && state.objects["a/x"]?.labels == ["app": "db"])
    #expect(try apply(#"{"type":"DELETED","object":\#(text("a", "x", 9))}"#))
    #expect(try !apply(#"{"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"20"}}}"#))
    #expect(state.objects.keys.sorted() == ["b/x"] && state.resourceVersion == "20")
    #expect(try event(#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"old"}}"#) == .expired)
  }

  @Test func requestsHaveThePathAndVerbOfTheirResource() throws {
    let list = KubeRequest.list(policies, continuation: "a=b/")
    #expect(list.path == "/apis/networking.k8s.io/v1/networkpolicies?limit=500&continue=a%3Db%2F")
    #expect(list.verb == "list" && list.resource == "networkpolicies" && list.method == "GET" && list.body == nil)
    let watch = KubeRequest.watch(pods, from: "7", seconds: 300)
    #expect(
      watch.path == "/api/v1/pods?watch=true&allowWatchBookmarks=true&resourceVersion=7&timeoutSeconds=300"
        && watch.verb == "watch")
    let patch = try KubeRequest.patch(pods, "default/x y", subresource: "status", with: ["a": 1])
    #expect(patch.path == "/api/v1/namespaces/default/pods/x%20y/status" && patch.resource == "pods/status")
    #expect(
      patch.method == "PATCH" && patch.contentType == "application/strategic-merge-patch+json"
        && patch.body == #"{"a":1}"#)
    let create = try KubeRequest.create(["kind": "Event"], pods, namespace: "default")
    #expect(create.path == "/api/v1/namespaces/default/pods" && create.method == "POST" && create.verb == "create")
    #expect(create.contentType == "application/json" && create.body == #"{"kind":"Event"}"#)
    // A token is sent as a bearer token, and no description shows it.
    let http = patch.http(base: "https://192.0.2.1:6443", token: Secret("secret"))
    #expect(
      http.headers.map { "\($0.name): \($0.value)" } == [
        "Accept: application/json", "Authorization: Bearer secret",
        "Content-Type: application/strategic-merge-patch+json",
      ])
    #expect(!"\(patch)".contains("secret"))
  }
}
