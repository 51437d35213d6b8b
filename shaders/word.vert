#version 330 core
// One word of a frame: a quad over its pixels in the atlas.
layout(location = 0) in vec2 corner; // of the unit square
layout(location = 1) in vec4 rect;   // x, y, width, height in pixels of the target
layout(location = 2) in vec4 place;  // x, y of its first pixel in the atlas, unused
layout(location = 3) in vec4 ink;    // not premultiplied

uniform vec2 frame; // width and height of the target in pixels

flat out vec2 wordShift; // from target to atlas
flat out vec4 wordInk;

void main() {
	wordShift = place.xy - rect.xy;
	wordInk = vec4(ink.rgb * ink.a, ink.a);
	vec2 p = rect.xy + corner * rect.zw;
	gl_Position = vec4(p / frame * 2.0 - 1.0, 0.0, 1.0);
}
