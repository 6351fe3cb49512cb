import Foundation

/// `Goldens/muon_ns.json`: Newton–Schulz and steps of Muon in 64 bits, by NumPy.
struct MuonGoldens: Decodable {
  struct Values: Decodable, Sendable {
    let shape: [Int]
    let data: [Double]
    var floats: [Float] { data.map { Float($0) } }
  }
  struct Orthogonal: Decodable, Sendable {
    let name, preset: String
    let input, output: Values
  }
  struct Trace: Decodable, Sendable {
    struct Step: Decodable, Sendable { let weight, momentum: Values }
    let param, scale_mode, preset, momentum_form: String
    let nesterov: Bool
    let lr, weight_decay, mu: Double
    let splits: [Int]?
    let initial_weight: Values
    let grads: [Values]
    let steps: [Step]
  }
  let newton_schulz: [Orthogonal]
  let muon_steps: [Trace]
  let fused_splits: [Trace]

  static func read() throws -> MuonGoldens {
    let url = Bundle.module.url(forResource: "Goldens/muon_ns", withExtension: "json")
    guard let url else { throw CocoaError(.fileNoSuchFile) }
    return try JSONDecoder().decode(MuonGoldens.self, from: Data(contentsOf: url))
  }
}
