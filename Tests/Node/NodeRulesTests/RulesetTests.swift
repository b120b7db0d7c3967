import Addresses
import NodeRules
import Testing

/// The exact text of the helper's nftables table.
@Suite struct RulesetTests {
  private func ruleset(
    _ networks: [String] = ["10.244.0.0/16", "fd00:10:244::/48"],
    nodes: [String] = ["192.0.2.12", "192.0.2.11", "2001:db8::11"], masquerade: MasqueradePorts? = nil,
    forwards: Bool = false
  ) -> Ruleset {
    Ruleset(
      networks: networks.compactMap { IPPrefix($0) }, nodes: nodes.compactMap { IPAddress($0) },
      masquerade: masquerade, forwards: forwards)
  }

  @Test func allRulesOfBothFamilies() {
    #expect(ruleset(masquerade: .fullyRandom, forwards: true).text == RulesetTests.allRules)
  }

  private static let allRules = """
    table inet causeway
    delete table inet causeway

    table inet causeway {
    	# The nodes' own addresses: pods reach nodes with their own address.
    	set nodes4 {
    		type ipv4_addr
    		elements = { 192.0.2.11, 192.0.2.12 }
    	}

    	chain postrouting {
    		type nat hook postrouting priority srcnat; policy accept;
    		ip saddr 10.244.0.0/16 goto leaving4
    	}

    	chain leaving4 {
    		# Packets with kube-proxy's mark are masqueraded by kube-proxy's own chain.
    		meta mark & 0x4000 == 0x4000 return
    		ip daddr 10.244.0.0/16 return
    		ip daddr @nodes4 return
    		ip daddr 224.0.0.0/4 return
    		masquerade fully-random
    	}
    }

    table inet causeway {
    	chain forward {
    		type filter hook forward priority filter; policy accept;
    		ip saddr 10.244.0.0/16 accept
    		ip daddr 10.244.0.0/16 accept
    	}
    }

    table inet causeway {
    	# The nodes' own addresses: pods reach nodes with their own address.
    	set nodes6 {
    		type ipv6_addr
    		elements = { 2001:db8::11 }
    	}

    	chain postrouting {
    		type nat hook postrouting priority srcnat; policy accept;
    		ip6 saddr fd00:10:244::/48 goto leaving6
    	}

    	chain leaving6 {
    		# Packets with kube-proxy's mark are masqueraded by kube-proxy's own chain.
    		meta mark & 0x4000 == 0x4000 return
    		ip6 daddr fd00:10:244::/48 return
    		ip6 daddr @nodes6 return
    		ip6 daddr ff00::/8 return
    		masquerade fully-random
    	}
    }

    table inet causeway {
    	chain forward {
    		type filter hook forward priority filter; policy accept;
    		ip6 saddr fd00:10:244::/48 accept
    		ip6 daddr fd00:10:244::/48 accept
    	}
    }

    """

  @Test func masqueradeOfOneFamilyWithAnEmptyNodeSet() {
    #expect(
      ruleset(["10.244.0.0/16"], nodes: ["2001:db8::11"], masquerade: MasqueradePorts.none).text == """
        table inet causeway
        delete table inet causeway

        table inet causeway {
        	# The nodes' own addresses: pods reach nodes with their own address.
        	set nodes4 {
        		type ipv4_addr
        	}

        	chain postrouting {
        		type nat hook postrouting priority srcnat; policy accept;
        		ip saddr 10.244.0.0/16 goto leaving4
        	}

        	chain leaving4 {
        		# Packets with kube-proxy's mark are masqueraded by kube-proxy's own chain.
        		meta mark & 0x4000 == 0x4000 return
        		ip daddr 10.244.0.0/16 return
        		ip daddr @nodes4 return
        		ip daddr 224.0.0.0/4 return
        		masquerade
        	}
        }

        """)
  }

  @Test func forwardOnly() {
    #expect(
      ruleset(["10.244.0.0/16"], forwards: true).text == """
        table inet causeway
        delete table inet causeway

        table inet causeway {
        	chain forward {
        		type filter hook forward priority filter; policy accept;
        		ip saddr 10.244.0.0/16 accept
        		ip daddr 10.244.0.0/16 accept
        	}
        }

        """)
  }

  @Test func portModesChangeOnlyTheMasqueradeStatement() {
    let texts = MasqueradePorts.allCases.map { ruleset(masquerade: $0).text }
    #expect(texts[1] == texts[0].replacing("\t\tmasquerade\n", with: "\t\tmasquerade random\n"))
    #expect(texts[2] == texts[0].replacing("\t\tmasquerade\n", with: "\t\tmasquerade fully-random\n"))
    #expect(Set(texts).count == 3)
  }

  @Test func rulesetWithoutRulesIsEmpty() {
    #expect(ruleset().isEmpty && ruleset([], masquerade: .random, forwards: true).isEmpty)
    #expect(!ruleset(forwards: true).isEmpty && !ruleset(masquerade: .random).isEmpty)
  }
}
