#version 330 core
// Colours the coverage of a word, pixel by pixel.
flat in vec2 wordShift;
flat in vec4 wordInk;

uniform sampler2D atlas; // coverage in red

out vec4 color; // premultiplied

void main() {
	color = wordInk * texelFetch(atlas, ivec2(gl_FragCoord.xy + wordShift), 0).r;
}
