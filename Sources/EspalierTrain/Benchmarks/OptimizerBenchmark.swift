package import EspalierMethods
import EspalierState
import EspalierTensor

/// Times Newton–Schulz in the forms that Muon takes, in turn with plain products: one thread, no ranks.
package enum OptimizerBenchmark {
  package struct Row: Codable, Sendable {
    package let rows: Int
    package let columns: Int
    package let form: String
    /// Medians.
    package let milliseconds: Double
    package let plainMilliseconds: Double
    /// Operations that were done, a second, 1e9; and those of one sgemm of the shape.
    package let gigaflopsPerSecond: Double
    package let productGigaflopsPerSecond: Double
  }

  /// - Parameter shapes: rows and columns of each; no taller than wide.
  /// - Throws: `Kernels.LevelError` where ESPALIER_KERNELS names a level that this processor lacks.
  package static func run(_ shapes: [(rows: Int, columns: Int)], preset: Muon.Preset, repeats: Int) throws -> [Row] {
    try Kernels.check()
    Kernels.threads = 1
    let iteration = preset.iteration
    return shapes.flatMap { shape in
      // The form that is chosen first, then the other one.
      let chosen = NewtonSchulz.Form.chosen(rows: shape.rows, columns: shape.columns)
      return [chosen, chosen == .gram ? .standard : .gram].map { form in
        measure(iteration, shape.rows, shape.columns, form, isChosen: form == chosen, repeats: repeats)
      }
    }
  }

  private static func measure(
    _ iteration: NewtonSchulz, _ rows: Int, _ columns: Int, _ form: NewtonSchulz.Form, isChosen: Bool, repeats: Int
  ) -> Row {
    let count = rows * columns, key = RandomKey(seed: 1)
    let values = (0..<count).map { Float(key.uniform(at: UInt64($0)) - 0.5) }
    let matrix = Scratch(), scratch = Scratch()
    let x = matrix.floats(count)
    let room = scratch.floats(
      max(
        iteration.scratchCount(rows: rows, columns: columns, form: form),
        NewtonSchulz.plainScratchCount(rows: rows, columns: columns)))
    func seconds(_ body: () -> Void) -> Double {
      x.update(from: values, count: count)
      let started = ReportClock.uptime()
      body()
      return ReportClock.uptime() - started
    }
    var own: [Double] = [], plain: [Double] = [], product: [Double] = []
    for repetition in -1..<repeats {
      let times = [
        seconds { iteration(x, rows: rows, columns: columns, form: form, scratch: room) },
        seconds { iteration.plain(x, rows: rows, columns: columns, scratch: room) },
        seconds {
          NewtonSchulz.product(rows: rows, columns: columns, room + count, x, into: room)
        },
      ]
      guard repetition >= 0 else { continue }
      own.append(times[0])
      plain.append(times[1])
      product.append(times[2])
    }
    func median(_ times: [Double]) -> Double { times.sorted()[times.count / 2] }
    return Row(
      rows: rows, columns: columns, form: form.rawValue + (isChosen ? "" : " (not chosen)"),
      milliseconds: 1e3 * median(own), plainMilliseconds: 1e3 * median(plain),
      gigaflopsPerSecond: iteration.operations(rows: rows, columns: columns, form: form) / median(own) / 1e9,
      productGigaflopsPerSecond: 2 * Double(rows * rows * columns) / median(product) / 1e9)
  }
}
