import EspalierMethods
import EspalierTesting
import Testing

/// The laws of every optimizer that ships.
@Suite struct OptimizerLawsTests {
  static let all = OptimizerLaws.all(of: .standard)

  @Test("slots are named after their optimizer", arguments: all)
  func names(_ laws: OptimizerLaws) throws { try laws.names() }

  @Test("an update of stretches is the update of the whole, bit for bit", arguments: all)
  func shardwise(_ laws: OptimizerLaws) throws { try laws.shardwiseIsWhole() }

  @Test("a matrix that is cut and brought together is updated as the whole, bit for bit", arguments: all)
  func assembled(_ laws: OptimizerLaws) throws { try laws.assembledIsWhole() }

  @Test("a quadratic is solved", arguments: all)
  func quadratic(_ laws: OptimizerLaws) throws { try laws.solvesQuadratic() }

  @Test("zero gradient leaves values to the decay", arguments: all)
  func zeroGradient(_ laws: OptimizerLaws) throws { try laws.zeroGradientLeavesValues() }

  @Test("a resume elsewhere continues bit for bit", arguments: all)
  func resume(_ laws: OptimizerLaws) throws { try laws.resumeIsBitwise() }
}
