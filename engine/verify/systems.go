package verify

// systems is the table of what can be verified. The name is "system" of golden.json or, without it, the folder's name.
var systems = []system{
	{"llada", verifyLLaDA},
	{"llada_gqa", verifyLLaDA},
	{"llada_bf16", verifyLLaDA},
	{"llada-moe", verifyLLaDAMoE},
	{"dream", verifyDream},
	{"dllm-a2d-qwen3-mdlm", verifyDLLM},
	{"dllm-a2d-qwen3-bd3lm", verifyBD3LM},
	{"llada2-mini", verifyLLaDA2},
	{"fast-dllm", verifyFastDLLM},
	{"d1", verifyD1},
	{"mdlm", verifyMDLM},
	{"bd3lm", verifyBlockLM},
	{"diffusion-lm", verifyDiffusionLM},
	{"diffusionbert", verifyDiffusionBERT},
	{"diffusionbert_layerwise", verifyDiffusionBERT},
	{"magvitv2", verifyMAGVIT},
	{"mmada", verifyMMaDA},
	{"lumina-dimoo", verifyLumina},
	{"mmada_losses", verifyMMaDALosses},
	{"showo-sampling", verifyShowo},
	{"llada-v", verifyLLaDAV},
	{"lavida", verifyLaViDa},
	{"lavida-dream", verifyLaViDaDream},
	{"diffusion-gemma", verifyGemma},
}
