package engine

// Release says where the checkpoints of a family are published: names only, nothing is fetched.
type Release struct {
	Family string   `json:"family"` // row of models.All
	Title  string   `json:"title"`
	Names  []string `json:"names"` // on the Hugging Face hub, where nothing else is said
	Size   string   `json:"size"`  // of the usual one: parameters
	Does   string   `json:"does"`
}

// Releases lists the families that can be opened, those for a small machine first.
var Releases = []Release{
	{"a2d", "Qwen3 0.6B diffusion", []string{"dllm-hub/Qwen3-0.6B-diffusion-mdlm-v0.1", "dllm-hub/Qwen3-0.6B-diffusion-bd3lm-v0.1"}, "0.6 B", "chat, on a laptop's processor"},
	{"mdlm", "MDLM", []string{"kuleshov-group/mdlm-owt"}, "0.17 B", "text that goes on, holes"},
	{"bd3lm", "BD3-LM", []string{"kuleshov-group/bd3lm-owt-block_size4", "kuleshov-group/bd3lm-owt-block_size8", "kuleshov-group/bd3lm-owt-block_size16"}, "0.17 B", "text that goes on, holes"},
	{"diffusionbert", "DiffusionBERT", []string{"no weights are published: those that the trainer of Hzfinfdu/Diffusion-BERT (GitHub) writes"}, "0.11 B", "holes, rare words last"},
	{"diffusion-lm", "Diffusion-LM", []string{"no weights in the repository XiangLi1999/Diffusion-LM (GitHub): those that its trainer writes"}, "0.09 B", "words out of noise"},
	{"llada", "LLaDA", []string{"GSAI-ML/LLaDA-8B-Instruct", "GSAI-ML/LLaDA-8B-Base", "GSAI-ML/LLaDA-1.5"}, "8 B", "chat, holes"},
	{"dream", "Dream", []string{"Dream-org/Dream-v0-Instruct-7B", "Dream-org/Dream-v0-Base-7B", "Dream-org/Dream-Coder-v0-Instruct-7B"}, "7 B", "chat, code, holes"},
	{"llada-moe", "LLaDA-MoE", []string{"inclusionAI/LLaDA-MoE-7B-A1B-Instruct", "inclusionAI/LLaDA-MoE-7B-A1B-Base"}, "7 B, 1.4 B active", "chat, holes"},
	{"llada2", "LLaDA 2 mini", []string{"inclusionAI/LLaDA2.0-mini", "inclusionAI/LLaDA2.1-mini"}, "16 B, 1.4 B active", "chat, edits its own words"},
	{"mmada", "MMaDA", []string{"Gen-Verse/MMaDA-8B-MixCoT", "Gen-Verse/MMaDA-8B-Base", "showlab/magvitv2 (its picture tokenizer, into the folder vq)"}, "8 B", "chat, pictures both ways, thinks"},
	{"llada-v", "LLaDA-V", []string{"GSAI-ML/LLaDA-V"}, "8 B", "chat about pictures"},
	{"lavida", "LaViDa", []string{"jacklishufan/lavida-llada-v1.0-instruct"}, "8 B", "chat about pictures"},
	{"lavida-dream", "LaViDa on Dream", []string{"jacklishufan/lavida-dream-v1.0-instruct"}, "8 B", "chat about pictures"},
	{"lumina-dimoo", "Lumina-DiMOO", []string{"Alpha-VLLM/Lumina-DiMOO"}, "8 B", "pictures of words, edits of pictures"},
}
