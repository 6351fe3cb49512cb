import EspalierTensor

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

extension StepLoss.Part {
  /// The loss of the part and its gradient by the logits, in double precision: the samples are few and the classes are too.
  /// - Parameters:
  ///   - logits: `[targets, columns]`, row-major.
  ///   - gradient: where the gradient is added, as many.
  /// - Returns: the loss, and how many samples have their class as the largest logit among those that compete.
  package func evaluate(
    _ logits: UnsafeBufferPointer<Float>, columns: Int, gradient: UnsafeMutableBufferPointer<Double>
  ) -> (loss: Double, correct: Int) {
    guard count > 0 else { return (0, 0) }
    var loss = 0.0, correct = 0
    let all = (0..<Int32(columns)).map { $0 }
    for (sample, label) in targets.enumerated() {
      let z = UnsafeBufferPointer(rebasing: logits[sample * columns..<(sample + 1) * columns])
      let dz = UnsafeMutableBufferPointer(rebasing: gradient[sample * columns..<(sample + 1) * columns])
      let rows = competing.isEmpty ? all : competing[sample]
      if Self.largest(z, among: rows) == label { correct += 1 }
      let weight = factor * Double(sampleFactors.isEmpty ? 1 : sampleFactors[sample]) / Double(count)
      if weight != 0 { loss += entropy(z, label, rows, weight: weight, dz) }
      for distance in distances { loss += self.distance(distance, sample, z, dz) }
      for distillation in distillations { loss += self.distillation(distillation, sample, z, dz) }
    }
    return (loss, correct)
  }

  private func entropy(
    _ z: UnsafeBufferPointer<Float>, _ label: Int32, _ rows: [Int32], weight: Double,
    _ dz: UnsafeMutableBufferPointer<Double>
  ) -> Double {
    switch target {
    case .crossEntropy:
      let whole = Self.softmax(z, rows, into: dz, weight: weight)
      dz[Int(label)] -= weight
      return weight * (whole - Double(z[Int(label)]))
    case .decoupled(let old, let new, let inter, let intra):
      // inter = lse(old and new) − lse(new), intra = lse(new) − z_y: one softmax over each set, weighted.
      let whole = Self.softmax(z, old + new, into: dz, weight: weight * inter)
      let part = Self.softmax(z, new, into: dz, weight: weight * (intra - inter))
      dz[Int(label)] -= weight * intra
      return weight * (inter * (whole - part) + intra * (part - Double(z[Int(label)])))
    }
  }

  private func distance(
    _ distance: StepLoss.Distance, _ sample: Int, _ z: UnsafeBufferPointer<Float>,
    _ dz: UnsafeMutableBufferPointer<Double>
  ) -> Double {
    let columns = distance.counted.isEmpty ? distance.columns : distance.counted[sample]
    // The mean is over all columns that count, of all samples of the part.
    let scale = distance.factor / (Double(count) * Double(max(columns, 1)))
    var sum = 0.0
    for column in 0..<min(columns, z.count) {
      let difference = Double(z[column]) - Double(distance.to[sample * distance.columns + column])
      sum += difference * difference
      dz[column] += 2 * scale * difference
    }
    return scale * sum
  }

  private func distillation(
    _ distillation: StepLoss.Distillation, _ sample: Int, _ z: UnsafeBufferPointer<Float>,
    _ dz: UnsafeMutableBufferPointer<Double>
  ) -> Double {
    let temperature = distillation.temperature, rows = distillation.rows
    guard !rows.isEmpty else { return 0 }
    let scale = distillation.factor / Double(count)
    func softened(_ logit: (Int) -> Double) -> (odds: [Double], logarithm: Double, largest: Double) {
      let scaled = rows.map { logit(Int($0)) / temperature }
      let largest = scaled.max() ?? 0
      let exponentials = scaled.map { exp($0 - largest) }
      let sum = exponentials.reduce(0, +)
      return (exponentials.map { $0 / sum }, log(sum), largest)
    }
    let teacher = softened { Double(distillation.teacher[sample * distillation.columns + $0]) }
    let student = softened { Double(z[$0]) }
    // T² · Σ p (log p − log q): the divergence, whose gradient by z is T (q − p).
    var divergence = 0.0
    for (index, row) in rows.enumerated() where teacher.odds[index] > 0 {
      let q = Double(z[Int(row)]) / temperature - student.largest - student.logarithm
      divergence += teacher.odds[index] * (log(teacher.odds[index]) - q)
    }
    for (index, row) in rows.enumerated() {
      dz[Int(row)] += scale * temperature * (student.odds[index] - teacher.odds[index])
    }
    return scale * temperature * temperature * divergence
  }

  /// Adds `weight` · softmax over some rows, and returns the logarithm of the sum of their exponentials.
  private static func softmax(
    _ z: UnsafeBufferPointer<Float>, _ rows: [Int32], into dz: UnsafeMutableBufferPointer<Double>, weight: Double
  ) -> Double {
    var largest = -Double.infinity
    for row in rows { largest = max(largest, Double(z[Int(row)])) }
    var sum = 0.0
    for row in rows { sum += exp(Double(z[Int(row)]) - largest) }
    for row in rows { dz[Int(row)] += weight * exp(Double(z[Int(row)]) - largest) / sum }
    return largest + log(sum)
  }

  /// The first of the largest logits.
  package static func largest(_ z: UnsafeBufferPointer<Float>, among rows: [Int32]) -> Int32? {
    var best: Int32?
    for row in rows where best.map({ z[Int(row)] > z[Int($0)] }) ?? true { best = row }
    return best
  }
}
