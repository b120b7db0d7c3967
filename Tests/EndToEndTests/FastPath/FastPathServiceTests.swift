import JSON
import Testing
import TestSupport

/// Translated flows use the ordinary path at the node that translates them, and all bytes arrive unchanged.
@Suite(.requiresRoot, .timeLimit(.minutes(5))) struct FastPathServiceTests {
  @Test(arguments: [("bridge", "conntrack"), ("bridge", "sight"), ("routed", "conntrack"), ("routed", "sight")])
  func services(_ mode: String, _ flows: String) throws {
    let stage = try FastPathStage(mode, flows, "--ip-masq")
    // In each family a Service for the server of each node, and one for both servers.
    let address = [["10.96.0.10", "10.96.0.11", "10.96.0.12"], ["fd00:96::10", "fd00:96::11", "fd00:96::12"]]
    var services: [ServiceRules.Service] = []
    for family in 0..<2 {
      let pods = stage.servers.map { $0[family] }
      for (number, pods) in [[pods[0]], [pods[1]], pods].enumerated() {
        services.append((address[family][number], pods))
      }
    }
    for node in stage.cluster.nodes { try ServiceRules.write(services, to: node) }

    let passedOn = flows == "conntrack" ? "translated" : "new"
    for family in 0..<2 {
      for client in 0..<2 {
        for server in 0..<2 {
          let before = try stage.cluster.packets(client, "to-pod", reason: passedOn)
          let carried = try stage.carried {
            try stage.talk(client, address[family][server], to: "server-\(server)")
          }
          // The client's node translates the flow and does not carry it.
          #expect(carried[2 * client] == 0 && carried[2 * client + 1] == 0, "\(carried)")
          guard client != server else {
            #expect(carried == [0, 0, 0, 0])
            continue
          }
          #expect(try stage.cluster.packets(client, "to-pod", reason: passedOn) - before > 200)
          // The server's node carries it like any other flow.
          #expect(carried[2 * server] > 50 && carried[2 * server + 1] > 50, "\(carried)")
        }
        // Either server may answer.
        let udp = try stage.client(client).run("udp", address[family][2], "--sockets", "40", "--count", "80")
        #expect(udp.status == 0 && udp.output.contains("server-0") && udp.output.contains("server-1"), "\(udp)")
        for _ in 0..<3 {
          let tcp = try stage.client(client).run("tcp", address[family][2], "--bytes", "1000000")
          #expect(tcp.output.contains("complete 1000000"), "\(tcp)")
        }
      }
      // A server that connects to its own Service is masqueraded.
      for index in 0..<2 {
        let traffic = Traffic(node: stage.cluster.nodes[index], pod: "server")
        let tcp = try traffic.run("tcp", address[family][index], "--bytes", "1000000")
        #expect(tcp.output.contains("complete 1000000 by server-\(index)\n"), "\(tcp)")
      }
    }
  }

  /// One UDP socket, or two TCP connections from one port, reach the same pod directly and by its Service.
  @Test(arguments: ["conntrack", "sight"], ["direct first", "Service first"])
  func aSocketTalksToAPodDirectlyAndByItsService(_ flows: String, _ order: String) throws {
    let stage = try FastPathStage("bridge", flows)
    let services = (0..<2).map { family in
      (address: ["10.96.0.10", "fd00:96::10"][family], pods: [stage.servers[1][family]])
    }
    for node in stage.cluster.nodes { try ServiceRules.write(services, to: node) }
    for (family, service) in services.enumerated() {
      let direct = stage.servers[1][family]
      let hosts = order == "direct first" ? [direct, service.address] : [service.address, direct]
      let udp = try stage.client(0).run("turns", hosts[0], hosts[1], "--count", "500", "--port-here", "4000")
      #expect(udp.output == "complete 500\n", "\(udp)")
      // Two connections from one port: the second begins during the first one.
      let first = try stage.client(0).startTransfer(to: hosts[0], "--port-here", "4001")
      try first.waitForMore()
      let second = try stage.client(0).run("tcp", hosts[1], "--port-here", "4001", "--bytes", "3000000")
      #expect(second.output.contains("complete 3000000"), "\(second)")
      try first.endTransfer()
    }
  }

  @Test(arguments: [("bridge", "conntrack"), ("bridge", "sight"), ("routed", "conntrack"), ("routed", "sight")])
  func hostPorts(_ mode: String, _ flows: String) throws {
    let stage = try FastPathStage(mode, flows, "--ip-masq")
    for (index, node) in stage.cluster.nodes.enumerated() {
      try ServiceRules.write([], to: node)
      let mappings = ["tcp", "udp"].map { transport -> JSONValue in
        ["hostPort": 8080, "containerPort": 80, "protocol": .string(transport)]
      }
      let addresses = zip(stage.servers[index], ["/24", "/64"]).map { address, length -> JSONValue in
        ["address": .string(address + length), "interface": 0]
      }
      let portmap = Runtime(node: node, plugin: "/usr/lib/cni/portmap")
      try portmap.call(
        "ADD", "server",
        configuration: [
          "cniVersion": "1.0.0", "name": "podnet", "type": "portmap",
          "runtimeConfig": ["portMappings": .array(mappings)],
          "prevResult": [
            "cniVersion": "1.0.0", "interfaces": [["name": "eth0", "sandbox": "/run/netns/server"]],
            "ips": .array(addresses),
          ],
        ]
      ).process.succeeded()
    }
    for (server, hosts) in [["192.0.2.11", "2001:db8::11"], ["192.0.2.12", "2001:db8::12"]].enumerated() {
      for client in 0..<2 {
        for host in hosts {
          let carried = try stage.carried {
            try stage.talk(client, host, port: 8080, to: "server-\(server)")
          }
          #expect(carried == [0, 0, 0, 0], "from \(client) by \(host)")
        }
      }
      let passedOn = flows == "conntrack" ? "translated" : "new"
      #expect(try stage.cluster.packets(server, "from-pod", reason: passedOn) > 200)
    }
  }
}
