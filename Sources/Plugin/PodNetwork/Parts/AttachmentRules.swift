internal import Attachments
internal import Linux
internal import Netfilter
internal import Netlink
internal import PodRules

/// Makes the rules that the record names, through one socket. The kernel sees the elements of each rule in one transaction.
func addRules(_ record: AttachmentRecord, _ pod: RuledPod) throws(PodNetworkError) {
  let rules = PodRule.rules(of: record)
  guard !rules.isEmpty else { return }
  var netfilter = try fromNetlink(NetfilterSocket())
  for rule in rules { try fromNetlink(rule.add(pod, &netfilter)) }
}

/// Removes every kind of rule as far as it is still the pod's. A rule that fails does not keep the others.
func removeRules(of pod: RuledPod, _ netfilter: inout NetfilterSocket) throws(PodNetworkError) {
  var failures = Failures()
  for rule in PodRule.all { failures.attempt(try fromNetlink(rule.remove(pod, &netfilter))) }
  try failures.throwFirst()
}

/// Removes the rules of the network's attachments that are not among the valid ones.
func collectRules(network: String, keeping valid: Set<String>) throws(PodNetworkError) {
  var netfilter = try fromNetlink(NetfilterSocket())
  var failures = Failures()
  for rule in PodRule.all {
    failures.attempt(try fromNetlink(rule.collect(network: network, keeping: valid, &netfilter)))
  }
  try failures.throwFirst()
}
