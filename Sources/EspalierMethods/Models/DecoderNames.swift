public import EspalierNN

/// What other programs call the weights of a decoder.
///
/// `llama`: Hugging Face's `LlamaForCausalLM`. Rotary positions turn the pairs (i, i + headWidth/2) there as here, so queries and
/// keys need no other order of features. Its configuration is `rms_norm_eps` 1e-5 and `rope_theta` the recipe's `rotaryBase`.
extension Decoder: NamedElsewhere {
  /// The tables that this model has; `refusal` tells for which options they do not hold.
  public static func nameTables(_ configuration: Configuration) -> [NameTable] {
    let groups = configuration.keyValueHeads == 0 ? configuration.heads : configuration.keyValueHeads
    let (here, there) = ("blocks.*", "model.layers.*")
    func product(_ name: String, _ parts: [(String, Int)]) -> [NameTable.Rule] {
      (configuration.bias ? ["weight", "bias"] : ["weight"]).map { kind in
        NameTable.Rule(
          "\(here).\(name).\(kind)", parts.map { NameTable.Part("\(there).\($0.0).\(kind)", share: $0.1) })
      }
    }
    let rules: [NameTable.Rule] =
      [
        .init("embed.table", "model.embed_tokens.weight"),
        .init("\(here).norm1.gain", "\(there).input_layernorm.weight"),
        .init("\(here).norm2.gain", "\(there).post_attention_layernorm.weight"),
        .init(configuration.tied ? "last.gain" : "head.norm.gain", "model.norm.weight"),
        .init("head.projection.weight", "lm_head.weight"),
      ]
      + product(
        "attention.qkv",
        [("self_attn.q_proj", configuration.heads), ("self_attn.k_proj", groups), ("self_attn.v_proj", groups)])
      + product("attention.output", [("self_attn.o_proj", 1)])
      + product("feedForward.gateUp", [("mlp.gate_proj", 1), ("mlp.up_proj", 1)])
      + product("feedForward.down", [("mlp.down_proj", 1)])
    return [
      NameTable(
        "llama", "Hugging Face's LlamaForCausalLM.", rules: rules,
        copies: configuration.tied ? ["lm_head.weight": "model.embed_tokens.weight"] : [:],
        ignored: ["\(there).self_attn.rotary_emb.inv_freq"], refusal: refusal(configuration))
    ]
  }

  private static func refusal(_ configuration: Configuration) -> String? {
    if configuration.positions != .rotary {
      return "it has rotary positions, not 'positions: \(configuration.positions)'"
    }
    if configuration.normalization != .rms {
      return "it has RMSNorm, not 'normalization: \(configuration.normalization)'"
    }
    if configuration.activation != .swiglu { return "it has SwiGLU, not 'activation: \(configuration.activation)'" }
    return nil
  }
}
