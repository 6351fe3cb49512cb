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
    #expect(residualNetwork(shape: [50]) { ($0.image.channels, $0.image.height, $0.image.width) = (2, 5, 5) } == "")
    #expect(
      residualNetwork { $0.image.height = 14 } == "model option 'image': images of 1 · 14 · 28 are not the data's "
        + "[1, 28, 28]; leave it out to take the data's")
    #expect(
      residualNetwork(shape: [50]) { ($0.image.channels, $0.image.height, $0.image.width) = (2, 5, 4) }
        == "model option 'image': samples of shape [50] are no images of 2 · 5 · 4; use data of images, or write "
        + "channels, height and width whose product is 50")
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
    #expect(
      residualNetwork { ($0.depth, $0.added) = (1, Array(repeating: [1], count: 13)) }.hasSuffix(
        "are no inputs of 12 convolutions; leave it out; the method api fills it in"))
  }

  private func refusal<M: Model>(
    _ model: M.Type, shape: Shape = [1, 28, 28], _ change: (inout M.Configuration) -> Void
  ) -> String {
    var configuration = M.Configuration()
    change(&configuration)
    do {
      _ = try M.validated(configuration, for: DataDescription(classes: 10, features: shape.count, shape: shape))
      return ""
    } catch { return "\(error)" }
  }

  @Test("shapes of a convolutional network that do not fit are refused")
  func convolutionalNetworkErrors() {
    func refusal(_ change: (inout ConvolutionalNetwork.Configuration) -> Void) -> String {
      self.refusal(ConvolutionalNetwork.self, change)
    }
    #expect(refusal { _ in } == "")
    #expect(refusal { ($0.channels, $0.hidden) = ([], [8]) } == "")
    #expect(
      refusal { $0.kernels = [4] }
        == "model option 'kernels': a kernel of 4 cannot keep the size of an image; write odd "
        + "numbers, or padding: valid")
    #expect(
      refusal { $0.kernels = [3, 3, 3] }
        == "model option 'kernels': 3 numbers do not fit 2 convolutions; write one for each, or one for all")
    #expect(
      refusal { $0.dropout = [0, 0, 0] }
        == "model option 'dropout': 3 numbers do not fit 2 layers; write one for each, or one for all")
    #expect(refusal { $0.dropout = [1] } == "model option 'dropout': 1.0 is no probability below 1; write 0 … 0.9")
    #expect(
      refusal { $0.channels = [8, 0] }
        == "model option 'channels': 0 is not within 1 … 65536; write whole numbers such as [16, 32]")
    #expect(
      refusal { ($0.channels, $0.pool.size) = ([8, 8, 8], 8) }
        == "model option 'kernels': after 1 of 3 convolutions nothing "
        + "of the image is left; use fewer convolutions, smaller kernels or pools, or padding: same")
    #expect(
      refusal { $0.pool.padding = 2 }
        == "model option 'pool': windows of 2, 2 apart and padded by 2, are no pool; write a "
        + "size and a stride of at least 1, and a padding of at most half the size")
  }

  @Test("shapes of a vision transformer that do not fit are refused")
  func visionTransformerErrors() {
    func refusal(_ change: (inout VisionTransformer.Configuration) -> Void) -> String {
      self.refusal(VisionTransformer.self, change)
    }
    #expect(refusal { _ in } == "")
    #expect(
      refusal { $0.patch = 5 }
        == "model option 'patch': patches of 5 do not tile images of 28 · 28; choose a divisor of "
        + "both, or pad the images: data.images.pad")
    #expect(
      refusal { $0.heads = 5 }
        == "model option 'heads': a width of 64 does not divide into 5 heads; choose a divisor of the width")
    #expect(refusal { $0.depth = -1 } == "model option 'depth': -1 is negative; write 0 or more")
    #expect(refusal { $0.hidden = -1 } == "model option 'hidden': -1 is negative; write 0 for the default")
  }

  @Test("the AlexNet and the LeNet of API have the weights of the authors' code")
  func networksOfTheLiterature() throws {
    func weights(_ shape: Shape, _ change: (inout ConvolutionalNetwork.Configuration) -> Void) throws -> [Int] {
      var configuration = ConvolutionalNetwork.Configuration()
      change(&configuration)
      let checked = try ConvolutionalNetwork.validated(
        configuration, for: DataDescription(classes: 100, features: shape.count, shape: shape))
      return Scope.build { ConvolutionalNetwork($0, checked) }.blueprint.parameters.filter { $0.axes.count == 2 }
        .map(\.count)
    }
    let alexNet = try weights([3, 32, 32]) {
      ($0.channels, $0.kernels, $0.padding, $0.hidden) = ([64, 128, 256], [4, 3, 2], .valid, [2048, 2048])
    }
    #expect(alexNet == [64 * 48, 128 * 576, 256 * 512, 2048 * 1024, 2048 * 2048, 100 * 2048])
    let leNet = try weights([3, 32, 32]) {
      ($0.channels, $0.kernels, $0.hidden) = ([20, 50], [5], [800, 500])
      ($0.pool.size, $0.pool.stride, $0.pool.padding) = (3, 2, 1)
    }
    #expect(leNet == [20 * 75, 50 * 500, 800 * 3200, 500 * 800, 100 * 500])
  }
}
