#version 330 core
// Copies a picture pixel by pixel. It was brought to size before, the same way for every renderer.
uniform vec4 rect;         // x, y, width, height in pixels
uniform sampler2D picture; // premultiplied

out vec4 color;

void main() {
	color = texelFetch(picture, ivec2(gl_FragCoord.xy - rect.xy), 0);
}
