import EspalierMethods
import EspalierNN
import EspalierTensor
import Testing

/// Options that describe no model are refused in one sentence with its remedy.
@Suite struct ModelOptionsTests {
  private func decoder(
    classes: Int = 256, features: Int = 0, _ change: (inout Decoder.Configuration) -> Void
  ) -> String {
    var configuration = Decoder.Configuration()
    change(&configuration)
    do {
      _ = try Decoder.validated(configuration, for: DataDescription(classes: classes, features: features))
      return ""
    } catch { return "\(error)" }
  }

  private func mlp(classes: Int = 10, features: Int = 8, _ change: (inout MLP.Configuration) -> Void) -> String {
    var configuration = MLP.Configuration()
    change(&configuration)
    do {
      _ = try MLP.validated(configuration, for: DataDescription(classes: classes, features: features))
      return ""
    } catch { return "\(error)" }
  }

  @Test("a decoder's defaults are filled in from each other and the data")
  func defaults() throws {
    let configuration = try Decoder.validated(.init(), for: DataDescription(classes: 200))
    #expect(configuration.keyValueHeads == 4 && configuration.hidden == 704 && configuration.vocabulary == 200)
    var gelu = Decoder.Configuration()
    gelu.activation = .gelu
    #expect(try Decoder.validated(gelu, for: DataDescription(classes: 200)).hidden == 1024)
  }

  @Test("shapes of a decoder that do not fit are refused")
  func decoderErrors() {
    #expect(
      decoder { $0.heads = 3 } == "model option 'heads': a width of 256 does not divide into 3 heads; "
        + "choose heads among the divisors of the width, such as 1, 2, 4, 8, 16, 32, 64, 128, or write headWidth")
    #expect(
      decoder { ($0.width, $0.heads) = (12, 4) } == "model option 'heads': rotary positions turn pairs and a head of 3 "
        + "features is odd; choose an even width per head, or 'positions: learned'")
    #expect(decoder { ($0.width, $0.heads, $0.positions) = (12, 4, .learned) } == "")
    #expect(
      decoder { $0.keyValueHeads = 3 } == "model option 'keyValueHeads': 4 heads do not divide into 3 groups; "
        + "choose one of 1, 2, 4")
    #expect(
      decoder { $0.keyValueHeads = -2 } == "model option 'keyValueHeads': 4 heads do not divide into -2 groups; "
        + "choose one of 1, 2, 4")
    #expect(decoder { $0.width = 0 } == "model option 'width': 0 is not positive; write a whole number of at least 1")
    #expect(decoder { $0.heads = -1 } == "model option 'heads': -1 is not positive; write a whole number of at least 1")
    #expect(
      decoder { $0.context = 0 } == "model option 'context': 0 is not positive; write a whole number of at least 1")
    #expect(decoder { $0.depth = -1 } == "model option 'depth': -1 is negative; write 0 or more")
    #expect(decoder { $0.hidden = -1 } == "model option 'hidden': -1 is negative; write 0 for the default")
    #expect(
      decoder { $0.vocabulary = 100 }
        == "model option 'vocabulary': 100 rows cannot hold the data's 256 tokens; write 0 for the data's, or more")
    #expect(decoder { $0.dropout = 1 } == "model option 'dropout': 1.0 is no probability below 1; write 0 … 0.9")
    #expect(
      decoder { $0.rotaryBase = 0 }
        == "model option 'rotaryBase': 0.0 is not positive and finite; write a base such as 10000")
    #expect(
      decoder(features: 7) { _ in }
        == "model option 'data': a decoder reads tokens and this data set has dense features; use the model 'mlp'")
  }

  @Test("shapes of an MLP that do not fit are refused")
  func mlpErrors() {
    #expect(mlp { $0.width = 0 } == "model option 'width': 0 is not positive; write a whole number of at least 1")
    #expect(mlp { $0.depth = -1 } == "model option 'depth': -1 is negative; write 0 or more")
    #expect(mlp { $0.features = 9 } == "model option 'features': 9 is not the data's 8; write 0 to take the data's")
    #expect(
      mlp { $0.classes = 4 }
        == "model option 'classes': 4 rows cannot hold the data's 10 classes; write 0 for the data's, or more")
    #expect(mlp { $0.dropout = -0.1 } == "model option 'dropout': -0.1 is no probability below 1; write 0 … 0.9")
    #expect(
      mlp(features: 0) { _ in }
        == "model option 'data': an MLP reads dense features and this data set has tokens; use the model 'decoder'")
  }

  private func residualNetwork(
    classes: Int = 10, shape: Shape = [1, 28, 28], _ change: (inout ResidualNetwork.Configuration) -> Void
  ) -> String {
    var configuration = ResidualNetwork.Configuration()
    change(&configuration)
    do {
      _ = try ResidualNetwork.validated(
        configuration,
        for: DataDescription(classes: classes, features: shape.dimensions.isEmpty ? 0 : shape.count, shape: shape))
      return ""
    } catch { return "\(error)" }
  }

  @Test("shapes of a residual network that do not fit are refused")
  func residualNetworkErrors() {
    #expect(residualNetwork { _ in } == "")
    #expect(residualNetwork(shape: [50]) { ($0.channels, $0.height, $0.breadth) = (2, 5, 5) } == "")
    #expect(
      residualNetwork { $0.height = 14 } == "model option 'channels': images of 1 · 14 · 28 are not the data's "
        + "[1, 28, 28]; write 0 for channels, height and breadth to take the data's")
    #expect(
      residualNetwork(shape: [50]) { ($0.channels, $0.height, $0.breadth) = (2, 5, 4) }
        == "model option 'channels': samples of shape [50] are no images of 2 · 5 · 4; use data with channels, height "
        + "and breadth, or write three numbers whose product is 50")
    #expect(
      residualNetwork(shape: []) { _ in } == "model option 'data': a residual network reads images and this data set "
        + "has tokens; use the model 'decoder'")
    #expect(
      residualNetwork { $0.classes = 4 }
        == "model option 'classes': 4 rows cannot hold the data's 10 classes; write 0 for the data's, or more")
    #expect(
      residualNetwork { $0.width = 0 }
        == "model option 'width': 0 is not within 1 … 4096; write a whole number such as 8 or 64")
    #expect(
      residualNetwork { $0.depth = 0 }
        == "model option 'depth': 0 is not within 1 … 1000; write a whole number such as 2")
  }
}
