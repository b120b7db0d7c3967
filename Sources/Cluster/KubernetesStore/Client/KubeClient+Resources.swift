internal import JSON
internal import StoreTransport

extension KubeClient {
  /// Longest time for a call, or to the head of a watch's answer.
  private static let limit = Duration.seconds(10)
  /// Longest time for one page of a list.
  private static let pageLimit = Duration.seconds(60)
  /// Bounds on a list, far beyond real clusters: a list without end would exhaust the memory.
  private static let mostObjects = 1 << 17
  private static let mostPages = 1 << 10

  /// All objects of a resource at one version.
  ///
  /// - Throws: `KubeError`.
  func list<Object>(_ resource: KubeResource<Object>) async throws -> KubeObjects<Object> {
    // The token of a page expires if the pages before it took too long.
    var attempt = 0
    while true {
      do {
        return try await listPages(resource)
      } catch KubeError.expired where attempt < 3 {
        attempt += 1
      }
    }
  }

  private func listPages<Object>(_ resource: KubeResource<Object>) async throws -> KubeObjects<Object> {
    var objects: [Object] = []
    var continuation = ""
    for _ in 0..<KubeClient.mostPages where objects.count <= KubeClient.mostObjects {
      let page = try await page(resource, continuation)
      objects += page.objects
      continuation = page.continuation
      if continuation.isEmpty { return KubeObjects(objects, resourceVersion: page.resourceVersion) }
    }
    throw KubeError.badAnswer(endpoint: source, reason: "its list of \(resource.name) has no end")
  }

  private func page<Object>(
    _ resource: KubeResource<Object>, _ continuation: String
  ) async throws -> KubePage<Object> {
    try await sending(.list(resource, continuation: continuation)) { exchange in
      try await exchange.transport.bounded(by: KubeClient.pageLimit) {
        var page = KubePage<Object>()
        var isComplete = false
        try await exchange.read(resource.listShape, limit: KubeClient.pageLimit) { piece in
          if piece.isElement {
            if let object = try resource.object(piece.text) { page.objects.append(object) }
            guard page.objects.count <= KubeClient.mostObjects else {
              throw TransportProblem.other("its list of \(resource.name) has no end")
            }
          } else {
            isComplete = try resource.finish(&page, piece.text)
          }
        }
        guard isComplete else { throw TransportProblem.other("its answer is not a list of \(resource.name)") }
        return page
      }
    }
  }

  /// Reports all changes of a resource since a version. Returns when the server ends the watch, after some minutes.
  ///
  /// - Parameters:
  ///   - onStart: called when the server has accepted the watch.
  ///   - onEvent: receives each event in order.
  /// - Throws: `KubeError`.
  func watch<Object>(
    _ resource: KubeResource<Object>, from resourceVersion: String, onStart: @Sendable () -> Void,
    onEvent: @Sendable (KubeEvent<Object>) throws -> Void
  ) async throws {
    // A random time, so that many agents do not start their next watches together.
    let seconds = Int.random(in: 300...600)
    try await sending(.watch(resource, from: resourceVersion, seconds: seconds)) { exchange in
      try await exchange.read(
        resource.eventShape, limit: KubeClient.limit,
        onHead: { if $0 == 200 { onStart() } },
        onPiece: { piece in
          guard let event = try resource.event(piece.text) else {
            throw TransportProblem.other("its answer is not an event")
          }
          try onEvent(event)
        })
    }
  }

  /// Changes an object, or a subresource of it, by a strategic merge patch. The answer is not read: a watch may already
  /// have reported a later state, such as a deletion.
  ///
  /// - Throws: `KubeError`.
  func patch<Object>(
    _ resource: KubeResource<Object>, _ key: String, subresource: String? = nil, with patch: JSONValue
  ) async throws {
    try await call(.patch(resource, key, subresource: subresource, with: patch))
  }

  /// Creates an object; the watch reports it.
  ///
  /// - Parameter namespace: `nil` for a resource that is not namespaced.
  /// - Throws: `KubeError`.
  func create<Object>(_ object: JSONValue, in resource: KubeResource<Object>, namespace: String? = nil) async throws {
    try await call(.create(object, resource, namespace: namespace))
  }

  private func call(_ request: KubeRequest) async throws {
    try await sending(request) { exchange in
      try await exchange.transport.bounded(by: KubeClient.limit) {
        try await exchange.read(.members([:]), limit: KubeClient.limit) { _ in }
      }
    }
  }
}
