#version 330 core
// A picture of a frame, at its own size.
layout(location = 0) in vec2 corner; // of the unit square

uniform vec2 frame; // width and height of the target in pixels
uniform vec4 rect;  // x, y, width, height in pixels

void main() {
	vec2 p = rect.xy + corner * rect.zw;
	gl_Position = vec4(p / frame * 2.0 - 1.0, 0.0, 1.0);
}
