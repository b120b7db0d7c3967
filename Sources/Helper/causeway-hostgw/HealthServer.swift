internal import Glibc
internal import Hummingbird
internal import JSON
internal import Linux
internal import Logging
internal import NIOCore
internal import NodeFastPath
internal import NodeRoutes
internal import Nodes
internal import ServiceLifecycle

/// What the agent answers over HTTP: to probes and Prometheus on a port, and to `status` on a socket in the state
/// directory, which only root can reach.
struct HealthServer: Sendable {
  let agent: NodeAgent
  let state: AgentState

  /// Where `status` asks.
  static func socketPath(_ stateDirectory: String) -> String { "\(stateDirectory)/agent.sock" }

  /// The servers that the options ask for.
  func services(logger: Logger) -> [any Service] {
    let options = agent.options
    var services: [any Service] = [
      Application(
        router: statusRouter,
        configuration: .init(
          address: .unixDomainSocket(path: HealthServer.socketPath(options.stateDir)), serverName: "causeway-hostgw"),
        logger: logger)
    ]
    if options.healthzPort != 0 {
      let server = Application(
        router: probeRouter,
        configuration: .init(
          address: .hostname(options.healthzIp, port: options.healthzPort), serverName: "causeway-hostgw"),
        logger: logger)
      services.append(ProbeServer(server: server, address: "\(options.healthzIp):\(options.healthzPort)"))
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
    router.get("healthz") { _, _ in "ok\n" }
    router.get("readyz") { [state] _, _ in
      let obstacles = state.now.obstacles
      return Response(
        status: obstacles.isEmpty ? .ok : .serviceUnavailable, headers: [.contentType: "text/plain; charset=utf-8"],
        body: .init(byteBuffer: .init(string: obstacles.isEmpty ? "ok\n" : obstacles.joined(separator: "\n") + "\n")))
    }
    router.get("metrics") { [agent, state] _, _ in
      let facts = state.now
      let text = try await onThread {
        facts.metrics(
          source: agent.store.source, use: facts.report?.lease.map { AddressUse.of($0, agent.pods) } ?? [],
          counts: try? agent.fastPath.counts())
      }
      return Response(
        status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
        body: .init(byteBuffer: .init(string: text)))
    }
    return router
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
