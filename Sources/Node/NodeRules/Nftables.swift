internal import CNFTables
internal import Linux

/// What the program `nft` does, within this process (libnftables(3)).
enum Nftables {
  /// Carries out a text as `nft -f` does: all of it at once, or nothing.
  ///
  /// - Throws: in libnftables' words what is wrong with the text, or what the kernel said to it.
  static func apply(_ text: String) throws(RulesError) {
    // A context remembers what it has seen of the kernel: a new one is never out of date, and leaves nothing behind.
    guard let context = unsafe nft_ctx_new(UInt32(NFT_CTX_DEFAULT)) else { throw .libnftables("out of memory") }
    defer {
      unsafe nft_ctx_free(context)
      // The addresses of thousands of nodes take megabytes while they are read; it may be a year until the next time.
      CurrentProcess.returnFreeMemory()
    }
    // Else they go to standard output and standard error.
    _ = unsafe nft_ctx_buffer_output(context)
    _ = unsafe nft_ctx_buffer_error(context)
    guard unsafe nft_run_cmd_from_buffer(context, text) != 0 else { return }
    let words = unsafe nft_ctx_get_error_buffer(context).map { unsafe String(cString: $0) } ?? ""
    throw .libnftables(words.split(separator: "\n").first.map { String($0) } ?? "it gave no reason")
  }
}
