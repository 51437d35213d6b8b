// Package token turns text into tokens and back as the Python tokenizers package does, and assembles the prompts of the
// model families.
//
// [Parse] reads a tokenizer.json: added tokens, normalizer, pre-tokenizer, model (BPE or WordPiece) and decoder. What the
// file asks for and this package does not do is an [engine.UnsupportedError], never a silent difference. [Open] also
// reads the names of special tokens and the chat template of a checkpoint.
package token
