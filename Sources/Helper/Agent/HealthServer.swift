internal import Glibc
internal import Hummingbird
internal import JSON
internal import Linux
internal import Logging
internal import NIOCore
internal import NodeState
internal import Nodes
internal import Parts
internal import ServiceLifecycle

/// The agent's HTTP servers: for probes and Prometheus on a port, and for `status` on a socket in the state directory,
/// which only root can reach.
package struct HealthServer: Sendable {
  let agent: NodeAgent
  let state: AgentState
  let watchdog: Watchdog

  /// The socket that `status` asks.
  package static func socketPath(_ stateDirectory: String) -> String { "\(stateDirectory)/agent.sock" }

  /// The servers that the options ask for.
  func services(logger: Logger) -> [any Service] {
    let settings = agent.settings
    var services: [any Service] = [
      Application(
        router: statusRouter,
        configuration: .init(
          address: .unixDomainSocket(path: HealthServer.socketPath(settings.files.stateDirectory)),
          serverName: "causeway-hostgw"),
        logger: logger)
    ]
    if settings.healthPort != 0 {
      let server = Application(
        router: probeRouter,
        configuration: .init(
          address: .hostname(settings.healthAddress, port: settings.healthPort), serverName: "causeway-hostgw"),
        logger: logger)
      services.append(ProbeServer(server: server, address: "\(settings.healthAddress):\(settings.healthPort)"))
    }
    return services
  }

  /// A server on an address that the user chose.
  private struct ProbeServer<Server: ApplicationProtocol>: Service {
    let server: Server
    let address: String

    func run() async throws {
      do {
        try await server.run()
      } catch let error as IOError {
        throw AddressRefused(address: address, reason: error)
      }
    }
  }

  /// The kernel does not let us listen there.
  private struct AddressRefused: Error, CustomStringConvertible {
    let address: String
    let reason: IOError

    var description: String {
      "nothing can be served on \(address): \(reason.errnoCode == EADDRINUSE ? "the port is taken" : reason.description): "
        + "choose another --healthz-port or --healthz-ip"
    }
  }

  private var probeRouter: Router<BasicRequestContext> {
    let router = Router()
    router.get("healthz") { [watchdog] _, _ in HealthServer.answer(watchdog.overdue().map(\.description)) }
    router.get("readyz") { [state] _, _ in HealthServer.answer([state.now.obstacle].compactMap { $0?.words }) }
    router.get("metrics") { [agent, state] _, _ in
      let facts = state.now
      let text = try await onThread { facts.metrics(source: agent.store.source) }
      return Response(
        status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
        body: .init(byteBuffer: .init(string: text)))
    }
    return router
  }

  /// 200, or 503 with what is wrong.
  private static func answer(_ problems: [String]) -> Response {
    Response(
      status: problems.isEmpty ? .ok : .serviceUnavailable, headers: [.contentType: "text/plain; charset=utf-8"],
      body: .init(byteBuffer: .init(string: problems.isEmpty ? "ok\n" : problems.joined(separator: "\n") + "\n")))
  }

  private var statusRouter: Router<BasicRequestContext> {
    let router = Router()
    router.get("status") { [agent, state] _, _ in
      let text = try JSONValue.object(await StatusView(agent, state.now).object).text()
      return Response(
        status: .ok, headers: [.contentType: "application/json"], body: .init(byteBuffer: .init(string: text)))
    }
    return router
  }
}
