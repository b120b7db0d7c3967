package import CNI
package import IPAM
package import JSON
package import Linux
package import Netlink
package import NodeState
package import PodRules

/// Errors of all verbs: each is another module's, as it is. `CNIError.init` gives it a code at the edge.
package enum PodNetworkError: Error, CustomStringConvertible {
  case cni(CNIError)
  case ipam(IPAMError)
  case json(JSONError)
  case lease(LeaseError)
  case netlink(NetlinkError)
  case podRules(PodRulesError)
  case system(SystemError)

  /// Error with a code of CNI.
  package init(_ code: CNIError.Code, _ message: String, details: String = "") {
    self = .cni(CNIError(code, message, details: details))
  }

  package var description: String {
    switch self {
    case .cni(let error): error.description
    case .ipam(let error): error.description
    case .json(let error): error.description
    case .lease(let error): error.description
    case .netlink(let error): error.description
    case .podRules(let error): error.description
    case .system(let error): error.description
    }
  }
}

// Calls of other modules, whose errors become this module's. Swift converts no thrown error by itself.

package func fromCNI<Value: ~Copyable>(
  _ call: @autoclosure () throws(CNIError) -> Value
) throws(PodNetworkError) -> Value {
  do throws(CNIError) { return try call() } catch { throw .cni(error) }
}

func fromIPAM<Value: ~Copyable>(
  _ call: @autoclosure () throws(IPAMError) -> Value
) throws(PodNetworkError) -> Value {
  do throws(IPAMError) { return try call() } catch { throw .ipam(error) }
}

package func fromJSON<Value: ~Copyable>(
  _ call: @autoclosure () throws(JSONError) -> Value
) throws(PodNetworkError) -> Value {
  do throws(JSONError) { return try call() } catch { throw .json(error) }
}

func fromLease<Value: ~Copyable>(
  _ call: @autoclosure () throws(LeaseError) -> Value
) throws(PodNetworkError) -> Value {
  do throws(LeaseError) { return try call() } catch { throw .lease(error) }
}

@discardableResult
func fromNetlink<Value: ~Copyable>(
  _ call: @autoclosure () throws(NetlinkError) -> Value
) throws(PodNetworkError) -> Value {
  do throws(NetlinkError) { return try call() } catch { throw .netlink(error) }
}

func fromPodRules<Value: ~Copyable>(
  _ call: @autoclosure () throws(PodRulesError) -> Value
) throws(PodNetworkError) -> Value {
  do throws(PodRulesError) { return try call() } catch { throw .podRules(error) }
}

func fromSystem<Value: ~Copyable>(
  _ call: @autoclosure () throws(SystemError) -> Value
) throws(PodNetworkError) -> Value {
  do throws(SystemError) { return try call() } catch { throw .system(error) }
}
