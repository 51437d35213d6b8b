package verify

// systems is the table of what can be verified. The name is "system" of golden.json or, without it, the folder's name.
var systems = []system{
	{"magvitv2", verifyMAGVIT},
	{"showo-sampling", verifyShowo},
}
