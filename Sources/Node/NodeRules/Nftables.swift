internal import CNFTables
internal import Linux

/// The program `nft` as a library (libnftables(3)).
enum Nftables {
  /// Applies a ruleset as `nft -f` does, in one transaction.
  ///
  /// - Throws: `RulesError.libnftables` with libnftables' first message: an error in the text, or the kernel's answer.
  static func apply(_ text: String) throws(RulesError) {
    // A context caches what it has read from the kernel. A new one is never out of date, and keeps no memory.
    guard let context = unsafe nft_ctx_new(UInt32(NFT_CTX_DEFAULT)) else { throw .libnftables("out of memory") }
    defer {
      unsafe nft_ctx_free(context)
      // The addresses of thousands of nodes take megabytes while the text is parsed, and the next time may be far off.
      CurrentProcess.returnFreeMemory()
    }
    // Without buffers libnftables writes to standard output and standard error.
    _ = unsafe nft_ctx_buffer_output(context)
    _ = unsafe nft_ctx_buffer_error(context)
    guard unsafe nft_run_cmd_from_buffer(context, text) != 0 else { return }
    let words = unsafe nft_ctx_get_error_buffer(context).map { unsafe String(cString: $0) } ?? ""
    throw .libnftables(words.split(separator: "\n").first.map { String($0) } ?? "it gave no reason")
  }
}
