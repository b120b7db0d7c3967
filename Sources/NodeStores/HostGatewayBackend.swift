/// The one backend that nodes are reached by here, as flannel names it in records and annotations.
enum HostGatewayBackend {
  static let name = "host-gw"

  /// Why a node that names this backend gets no route, `nil` where it does.
  static func problem(of backend: String) -> String? {
    switch backend.lowercased() {
    case name: nil
    case "": "its record names no backend, as flannel's udp backend has it; only host-gw can be reached"
    case let other: "its backend is \(other), only host-gw can be reached"
    }
  }
}
