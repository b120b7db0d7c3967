package import IPAM
package import Linux
package import Netlink

/// Errors of the work on leases, records and the rules of other plugins; rules of our own throw `NetlinkError`.
package enum PodRulesError: Error, CustomStringConvertible {
  case ipam(IPAMError)
  case netlink(NetlinkError)
  case system(SystemError)
  /// A command on the kernel's older tables failed.
  case legacyTables(LegacyTablesRefused)

  package var description: String {
    switch self {
    case .ipam(let error): error.description
    case .netlink(let error): error.description
    case .system(let error): error.description
    case .legacyTables(let error): error.description
    }
  }
}

// Calls of other modules, whose errors become this module's. Swift converts no thrown error by itself.

func fromIPAM<Value>(_ call: @autoclosure () throws(IPAMError) -> Value) throws(PodRulesError) -> Value {
  do throws(IPAMError) { return try call() } catch { throw .ipam(error) }
}

func fromNetlink<Value: ~Copyable>(
  _ call: @autoclosure () throws(NetlinkError) -> Value
) throws(PodRulesError) -> Value {
  do throws(NetlinkError) { return try call() } catch { throw .netlink(error) }
}

func fromSystem<Value>(_ call: @autoclosure () throws(SystemError) -> Value) throws(PodRulesError) -> Value {
  do throws(SystemError) { return try call() } catch { throw .system(error) }
}
