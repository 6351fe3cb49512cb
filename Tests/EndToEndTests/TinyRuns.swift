import Foundation

/// Recipes small enough to be trained many times over.
enum TinyRuns {
  /// The shipped text, wherever the tests run from.
  static let text = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "launch/data/pride-and-prejudice.txt").path

  /// A decoder whose blocks have several chunks, 20 steps, 8 lanes.
  static let decoder = """
    model:     { decoder: { width: 48, depth: 3, heads: 4, keyValueHeads: 2, context: 24, hidden: 64 } }
    optimizer: { adamw: { rate: 2e-3, decay: 0.1 } }
    data:      { text: { path: "\(text)", validation: 1% } }
    batch:     { samples: 16, lanes: 8 }
    stage:     1
    schedule:
      - train: { steps: 20, rate: { shape: cosine, warmup: 4 } }
    evaluate:  { every: 10, batch: 8, batches: 3 }
    save:      { every: 0, keep: 3 }
    seed:      7
    """
}
